// What a trace may take up: files have an end, a full file system harms nothing, and what was lost
// is told.
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/integration/budget_fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

double complete_ratio(const Qemond& daemon) {
  return daemon.scrape().get(series("qemu_trace_complete_ratio", {{"vm", "vm"}})).value_or(-1);
}

/// A gauge of the VM's trace; -1 if it is absent.
double gauge(const Qemond& daemon, std::string_view name) {
  return daemon.scrape().get(series(name, {{"vm", "vm"}})).value_or(-1);
}

class SpaceOn : public WithBudget {
 protected:
  SpaceOn() : full_(directory / "run/trace") {}
  ~SpaceOn() override {
    if (mounted_) ::umount2(full_.c_str(), MNT_DETACH);
  }

  /// Makes the trace directory a file system of one megabyte; false where that is not allowed.
  bool mount_small() {
    std::filesystem::create_directories(full_);
    ::chmod((directory / "run").c_str(), 0755);
    mounted_ = ::mount("tmpfs", full_.c_str(), "tmpfs", 0, "size=1m,mode=0711") == 0;
    return mounted_;
  }

  /// What the file of qemond's that QEMU writes to occupies; 0 if there is none.
  [[nodiscard]] std::uint64_t trace_file_bytes(Qemu& vm) const {
    std::uint64_t bytes = 0;
    const auto files = "/proc/" + std::to_string(vm.process().pid()) + "/fd";
    for (const auto& file : std::filesystem::directory_iterator(files)) {
      struct stat about {};
      std::error_code gone;
      const auto target = std::filesystem::read_symlink(file.path(), gone).string();
      if (target.starts_with(full_) && ::stat(file.path().c_str(), &about) == 0)
        bytes += static_cast<std::uint64_t>(about.st_blocks) * 512;
    }
    return bytes;
  }

  void fill() const {
    std::ofstream file(full_ + "/filler", std::ios::binary | std::ios::app);
    const std::string block(4096, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) continue;
  }

  std::string full_;
  bool mounted_ = false;
};
ON_EACH_QEMU(SpaceOn);

TEST_P(SpaceOn, EndsAtItsLimitWhenQemondWasAway) {
  Qemu vm(GetParam(), directory / "vm");
  auto options = with_budget(vm, "unlimited");
  options.arguments.insert(options.arguments.end(), {"--trace-space", "4MiB"});
  Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));
  EXPECT_EQ(gauge(daemon, "qemond_trace_space_bytes"), 4 << 20);
  EXPECT_EQ(gauge(daemon, "qemond_trace_space_used_bytes"), -1);
  daemon.events_on({flood_event, cheap_event});
  const auto before = vm.block_statistic("rd_operations");
  EXPECT_TRUE(wait_until([&] {
    return gauge(daemon, "qemond_trace_space_used_bytes") ==
           static_cast<double>(trace_file_bytes(vm));
  }));

  daemon.process().signal(SIGSTOP);
  vm.guest().start_polling();
  EXPECT_TRUE(wait_until([&] { return trace_file_bytes(vm) > 6U << 20; }));
  daemon.process().signal(SIGCONT);

  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(flood_event); }));
  EXPECT_TRUE(wait_until([&] { return trips(daemon, flood_event) == 1; }));
  EXPECT_THAT(daemon.qemon({"status"}).out,
              AllOf(HasSubstr("the trace file had "), HasSubstr("(--trace-space)")));
  vm.guest().stop();
  vm.guest().read(1);
  EXPECT_GE(vm.block_statistic("rd_operations"), before);
  // Everything was read, and what is left of the file is small.
  EXPECT_TRUE(wait_until([&] { return daemon.vm("vm").at("trace").at("lag_bytes") == 0; }));
  EXPECT_LT(trace_file_bytes(vm), 1U << 20);
}

TEST_P(SpaceOn, EndsWhenAUsersLogGrewByTheLimit) {
  const std::string log = directory / "user.log";
  QemuOptions vm_options;
  vm_options.arguments = {"-D", log};
  Qemu vm(GetParam(), directory / "vm", vm_options);
  if (vm.has_simple_backend()) GTEST_SKIP() << "its trace does not go to the log alone";
  auto options = with_budget(vm, "unlimited");
  options.arguments.insert(options.arguments.end(), {"--trace-space", "1MiB"});
  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const auto at_first = std::filesystem::file_size(log);
  daemon.events_on({cheap_event});
  vm.guest().read(100);
  ASSERT_TRUE(daemon.wait_counted("vm", cheap_event, 100));
  EXPECT_TRUE(wait_until([&] {
    return gauge(daemon, "qemond_trace_space_used_bytes") ==
           static_cast<double>(std::filesystem::file_size(log) - at_first);
  }));
  daemon.events_on({flood_event});
  vm.guest().start_polling();

  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(flood_event); }));
  EXPECT_EQ(trips(daemon, flood_event), 1);
  EXPECT_THAT(daemon.qemon({"status"}).out, HasSubstr("the log " + log + " grew by "));
  vm.guest().stop();
  // It may grow by as much again.
  daemon.events_on({flood_event});
  EXPECT_TRUE(vm.monitor().event_enabled(flood_event));
}

TEST_P(SpaceOn, IsToldToBeFullAndGoesOnWhenThereIsRoom) {
  if (::geteuid() != 0 || !mount_small()) GTEST_SKIP() << "mounting a small tmpfs needs root";
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), with_budget(vm, "unlimited"));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({cheap_event});
  vm.guest().read(3);
  ASSERT_TRUE(daemon.wait_counted("vm", cheap_event, 3));
  ASSERT_TRUE(wait_until([&] { return complete_ratio(daemon) == 1; }));

  EXPECT_EQ(gauge(daemon, "qemond_trace_file_system_full"), 0);
  fill();
  EXPECT_TRUE(wait_until([&] { return daemon.vm("vm").at("trace").at("full") == true; }));
  EXPECT_EQ(gauge(daemon, "qemond_trace_file_system_full"), 1);
  const auto flushes = series("qemond_trace_flushes_total", {{"vm", "vm"}});
  const auto flushed = daemon.scrape().get(flushes).value_or(-1);
  vm.guest().read(8'000);  // More than QEMU's buffer holds.

  EXPECT_EQ(vm.monitor().execute("query-status").at("status"), "running");
  EXPECT_EQ(daemon.vm_state("vm"), "attached");
  EXPECT_THAT(daemon.qemon({"status"}).out, HasSubstr(" is full: QEMU loses records"));
  EXPECT_TRUE(wait_until([&] { return complete_ratio(daemon) < 1; }));
  EXPECT_EQ(daemon.scrape().get(flushes).value_or(-1), flushed);

  std::filesystem::remove(full_ + "/filler");
  EXPECT_TRUE(wait_until([&] { return daemon.vm("vm").at("trace").at("full") == false; }));
  // The records on the way when there was no room may be broken; what comes behind is not.
  vm.guest().read(1);
  const auto counted = daemon.counted("vm", cheap_event);
  vm.guest().read(1000);
  EXPECT_TRUE(wait_until([&] { return daemon.counted("vm", cheap_event) >= counted + 1000; }));
  daemon.events_off({"*"});
  EXPECT_TRUE(wait_until([&] { return complete_ratio(daemon) == -1; }));
  EXPECT_EQ(gauge(daemon, "qemond_trace_file_system_full"), -1);
}

TEST_P(SpaceOn, GoesOnWithoutItsDirectory) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({cheap_event});

  std::filesystem::remove_all(directory / "run");

  vm.guest().read(700);
  EXPECT_TRUE(daemon.wait_counted("vm", cheap_event, 700));
  daemon.events_off({"*"});
  EXPECT_FALSE(vm.monitor().event_enabled(cheap_event));
  const auto refused = daemon.qemon({"event", "on", cheap_event});
  EXPECT_EQ(refused.status.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("vm: "));
  EXPECT_EQ(daemon.vm_state("vm"), "attached");
}

TEST_P(SpaceOn, TellsThatTheLogBackendCountsNoDrops) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const auto said = daemon.qemon({"status"}).out;

  EXPECT_THAT(said,
              HasSubstr(vm.has_simple_backend() ? "0 dropped"
                                                : "drops are not counted by the log backend"));
}

}  // namespace
}  // namespace qemon::test
