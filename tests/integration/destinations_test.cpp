// Where the trace goes: what is the user's stays the user's, and what is ours stays small.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"
#include "tests/support/trace_witness.hpp"

namespace qemon::test {
namespace {

class Destinations : public OnQemu {};
ON_EACH_QEMU(Destinations);

/// Nothing was taken out of the file: no holes, which would read as NUL bytes.
void expect_untouched(const std::string& path, ino_t inode) {
  EXPECT_EQ(file_facts(path).inode, inode);
  EXPECT_EQ(read_file(path).find('\0'), std::string::npos);
}

TEST_P(Destinations, OfAUsersLogFileIsFollowedInPlace) {
  const std::string log = directory / "user.log";
  QemuOptions options;
  options.arguments = {"-D", log};
  Qemu vm(GetParam(), directory / "vm", options);
  const ino_t inode = file_facts(log).inode;
  vm.monitor().set_event(complete_event, true);
  vm.guest().read(15);  // Before we came.
  double reads = 0;
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    for (unsigned cycle = 1; cycle <= 3; ++cycle) {
      daemon.events_on({read_event, complete_event});
      vm.guest().read(200);
      daemon.events_off({read_event, complete_event});
      vm.guest().read(10);
      reads += 200;
      EXPECT_TRUE(daemon.wait_counted("vm", read_event, reads));
    }
    if (!vm.has_simple_backend()) {
      EXPECT_EQ(daemon.vm("vm").at("trace").at("destination"), "in place");
      EXPECT_TRUE(daemon.wait_counted("vm", complete_event, reads + 30));
    }
    EXPECT_EQ(daemon.stop(), ExitStatus{});
  }
  vm.guest().read(5);

  expect_untouched(log, inode);
  EXPECT_EQ(count_log_lines(read_file(log), read_event), reads);
  EXPECT_EQ(count_log_lines(read_file(log), complete_event), 15 + reads + 30 + 5);
}

TEST_P(Destinations, OfStandardErrorOnAFileIsFollowedInPlace) {
  const std::string log = directory / "stderr.log";
  QemuOptions options;
  options.stderr_file = log;
  Qemu vm(GetParam(), directory / "vm", options);
  const ino_t inode = file_facts(log).inode;
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  daemon.events_on({read_event});
  vm.guest().read(200);

  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 200));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  expect_untouched(log, inode);
  EXPECT_EQ(count_log_lines(read_file(log), read_event), 200);
}

TEST_P(Destinations, OfAUsersLogAgreeWithItsLinesAtAHighRate) {
  const std::string log = directory / "user.log";
  QemuOptions options;
  options.arguments = {"-D", log};
  Qemu vm(GetParam(), directory / "vm", options);
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  vm.guest().start_reading();
  for (unsigned cycle = 1; cycle <= 5; ++cycle) {
    const double before = daemon.counted("vm", read_event);
    daemon.events_on({"virtio_blk_*", "blk_co_*", "bdrv_co_*"});
    EXPECT_TRUE(wait_until([&] { return daemon.counted("vm", read_event) > before + 100; }));
    daemon.events_off({"virtio_blk_*", "blk_co_*", "bdrv_co_*"});
  }
  vm.guest().stop();

  const std::string text = read_file(log);
  for (const char* event : {read_event, complete_event, "blk_co_preadv", "bdrv_co_preadv_part"}) {
    EXPECT_TRUE(daemon.wait_counted("vm", event, count_log_lines(text, event))) << event;
  }
}

TEST_P(Destinations, OfAUsersSimpleTraceIsFollowedInPlace) {
  const std::string trace = directory / "user.trace";
  QemuOptions options;
  options.arguments = {"-trace", "file=" + trace};
  Qemu vm(GetParam(), directory / "vm", options);
  if (!vm.has_simple_backend()) GTEST_SKIP() << "this QEMU has no simple backend";
  const ino_t inode = file_facts(trace).inode;
  vm.monitor().set_event(complete_event, true);
  vm.guest().read(1200);  // More than one buffer of QEMU's, before we came.
  vm.monitor().human("trace-file flush");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  daemon.events_on({read_event});
  vm.guest().read(300);
  daemon.events_off({read_event});
  vm.guest().read(20);

  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 300));
  EXPECT_TRUE(daemon.wait_counted("vm", complete_event, 320));
  EXPECT_EQ(daemon.vm("vm").at("trace").at("destination"), "in place");
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_THAT(vm.monitor().human("trace-file"), testing::HasSubstr("\"" + trace + "\" on"));
  vm.monitor().human("trace-file flush");
  EXPECT_EQ(file_facts(trace).inode, inode);
  auto counts = count_simple_records(trace);
  EXPECT_EQ(counts[read_event], 300U);
  EXPECT_EQ(counts[complete_event], 1520U);
  EXPECT_EQ(counts["dropped"], 0U);
}

TEST_P(Destinations, OfAUsersSimpleTraceAgreeWithQemusOwnReader) {
  const char* script = std::getenv("QEMON_SIMPLETRACE");
  if (script == nullptr || *script == '\0') {
    GTEST_SKIP() << "QEMON_SIMPLETRACE does not name QEMU's scripts/simpletrace.py";
  }
  const std::string trace = directory / "user.trace";
  QemuOptions options;
  options.arguments = {"-trace", "file=" + trace};
  Qemu vm(GetParam(), directory / "vm", options);
  if (!vm.has_simple_backend()) GTEST_SKIP() << "this QEMU has no simple backend";
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  daemon.events_on({"virtio_blk_*", "blk_co_*"});
  vm.guest().read(100);
  vm.guest().write(20);
  daemon.events_off({"virtio_blk_*", "blk_co_*"});
  vm.monitor().human("trace-file flush");

  // Read while the file is still open for QEMU, from a copy.
  const std::string copy = directory / "copy.trace";
  write_file(copy, read_file(trace));
  const Finished reader =
      run_program({"/usr/bin/python3", script, GetParam().catalog, copy}, home());
  ASSERT_EQ(reader.status, ExitStatus{}) << reader.err;
  for (const std::string event : {"virtio_blk_handle_read", "virtio_blk_handle_write",
                                  "virtio_blk_req_complete", "blk_co_preadv", "blk_co_pwritev"}) {
    const double read = count_log_lines(reader.out, event);
    EXPECT_GT(read, 0) << event;
    EXPECT_TRUE(daemon.wait_counted("vm", event, read)) << event;
  }
}

TEST_P(Destinations, OfALogOnAPipeArePutBackWhenNoEventOfOursIsOn) {
  QemuOptions options;
  options.stderr_pipe = true;
  Qemu vm(GetParam(), directory / "vm", options);
  vm.monitor().set_event(complete_event, true);
  vm.guest().read(2);
  const auto piped = [&vm] {
    return count_log_lines(vm.process().errors_from_pipe(), complete_event);
  };
  ASSERT_TRUE(wait_until([&] { return piped() == 2; }));
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});
  vm.guest().read(30);
  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 30));

  daemon.events_off({read_event});
  const double before = piped();
  vm.guest().read(4);

  EXPECT_TRUE(wait_until([&] { return piped() == before + 4; })) << piped();
  // And at the end, with an event of ours still on.
  daemon.events_on({read_event});
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  const double at_end = piped();
  vm.guest().read(6);
  EXPECT_TRUE(wait_until([&] { return piped() == at_end + 6; })) << piped();
}

TEST_P(Destinations, OfOursStayAsSmallAsTheLagWhileAHotEventRuns) {
  constexpr std::uint64_t mebibyte = 1 << 20;
  Qemu vm(GetParam(), directory / "vm");
  auto options = watching(vm);
  options.arguments.insert(options.arguments.end(), {"--budget", "unlimited"});
  Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({"memory_region_ops_*"});
  const std::string path = daemon.vm("vm").at("trace").at("path");

  const auto allocated_bytes = [&] {
    return open_file_facts(daemon.process().pid(), path).allocated_bytes;
  };

  vm.guest().start_polling();
  std::uint64_t over_lag = 0;
  std::uint64_t lag_before = 0;
  const auto read_much = [&] {
    const std::uint64_t allocated = allocated_bytes();
    const auto trace = daemon.vm("vm").at("trace");
    const auto lag_after = trace.at("lag_bytes").get<std::uint64_t>();
    // If this test was held up between the looks, much may have been read meanwhile.
    const auto lag = std::max(std::exchange(lag_before, lag_after), lag_after);
    over_lag = std::max(over_lag, allocated > lag ? allocated - lag : 0);
    return trace.at("bytes_read").get<std::uint64_t>() > 64 * mebibyte;
  };
  EXPECT_TRUE(wait_until(read_much, std::chrono::seconds(120)));
  vm.guest().stop();

  // What is allocated and not lag is what was read since the last piece was given back, and written
  // since the last look.
  EXPECT_LT(over_lag, 16 * mebibyte);
  EXPECT_TRUE(wait_until([&] { return allocated_bytes() <= mebibyte / 4; })) << allocated_bytes();
  // The guest is not quite silent: its timer goes on.
  EXPECT_TRUE(wait_until([&] { return daemon.vm("vm").at("trace").at("lag_bytes") == 0; }));
}

class OtherUsers : public OnQemu {
 protected:
  void expect_exact_counts(Qemu& vm) {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    for (unsigned cycle = 1; cycle <= 2; ++cycle) {
      daemon.events_on({read_event});
      vm.guest().read(50);
      daemon.events_off({read_event});
      vm.guest().read(10);
      EXPECT_TRUE(daemon.wait_counted("vm", read_event, 50 * cycle));
    }
    EXPECT_EQ(daemon.stop(), ExitStatus{});
  }
};
ON_EACH_QEMU(OtherUsers);

TEST_P(OtherUsers, RunningQemuAreServed) {
  if (::geteuid() != 0 || !nobody()) GTEST_SKIP() << "needs root, to start QEMU as another user";
  QemuOptions options;
  options.user = nobody();
  Qemu vm(GetParam(), directory / "vm", options);

  expect_exact_counts(vm);
}

TEST_P(OtherUsers, ThatQemuBecameAfterItsStartAreServed) {
  if (::geteuid() != 0 || !nobody()) GTEST_SKIP() << "needs root, for QEMU to give it up";
  QemuOptions options;
  options.arguments = run_as(GetParam(), "nobody", home());
  Qemu vm(GetParam(), directory / "vm", options);

  expect_exact_counts(vm);
}

}  // namespace
}  // namespace qemon::test
