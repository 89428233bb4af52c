// The counts in /metrics equal what the guest is known to have done.
#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

class Counts : public OnQemu {};
ON_EACH_QEMU(Counts);

/// These occur once for each request of the guest, in all versions under test.
const std::vector<std::string> request_events{"virtio_blk_handle_read", "virtio_blk_handle_write",
                                              "virtio_blk_rw_complete", "virtio_blk_req_complete",
                                              "blk_co_preadv",          "blk_co_pwritev"};

void expect_counted(const Qemond& daemon, double reads, double writes) {
  EXPECT_TRUE(daemon.wait_counted("vm", "virtio_blk_handle_read", reads));
  EXPECT_TRUE(daemon.wait_counted("vm", "virtio_blk_handle_write", writes));
  EXPECT_TRUE(daemon.wait_counted("vm", "virtio_blk_rw_complete", reads + writes));
  EXPECT_TRUE(daemon.wait_counted("vm", "virtio_blk_req_complete", reads + writes));
  EXPECT_TRUE(daemon.wait_counted("vm", "blk_co_preadv", reads));
  EXPECT_TRUE(daemon.wait_counted("vm", "blk_co_pwritev", writes));
}

TEST_P(Counts, EqualTheGuestsWorkAcrossOnOffCyclesWhileItRuns) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  double reads = 0;
  double writes = 0;
  for (unsigned cycle = 1; cycle <= 4; ++cycle) {
    vm.guest().read(10 + cycle);  // Events are off: not counted.
    daemon.events_on(request_events);
    vm.guest().read(30 * cycle);
    vm.guest().write(10 + cycle);
    vm.guest().read_eight_sectors(7);
    // At once, so that records which were not read yet must survive the switching off.
    daemon.events_off(request_events);
    vm.guest().write(8);
    reads += 30 * cycle + 7;
    writes += 10 + cycle;

    expect_counted(daemon, reads, writes);
  }
}

TEST_P(Counts, AddUpWhenOnlySomeEventsAreSwitchedOff) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  daemon.events_on({"virtio_blk_handle_*"});
  vm.guest().read(11);
  vm.guest().write(5);
  daemon.events_off({"virtio_blk_handle_write"});
  vm.guest().read(13);
  vm.guest().write(50);
  daemon.events_on({"virtio_blk_handle_write"});
  vm.guest().write(2);

  EXPECT_TRUE(daemon.wait_counted("vm", "virtio_blk_handle_read", 24));
  EXPECT_TRUE(daemon.wait_counted("vm", "virtio_blk_handle_write", 7));
  EXPECT_EQ(daemon.counted("vm", "virtio_blk_req_complete"), 0);
}

TEST_P(Counts, AreExactAgainWhenTheDaemonWasStoppedInBetween) {
  Qemu vm(GetParam(), directory / "vm");
  {
    Qemond first(home(), watching(vm));
    ASSERT_TRUE(first.wait_attached("vm"));
    first.events_on(request_events);
    vm.guest().read(70);
    vm.guest().write(9);
    expect_counted(first, 70, 9);
    EXPECT_EQ(first.stop(), ExitStatus{});
  }
  vm.guest().read(60);

  for (const unsigned reads : {33U, 4U}) {
    Qemond next(home(), watching(vm));
    ASSERT_TRUE(next.wait_attached("vm"));
    next.events_on(request_events);
    vm.guest().read(reads);
    vm.guest().write(6);
    expect_counted(next, reads, 6);
    EXPECT_EQ(next.stop(), ExitStatus{});
  }
}

TEST_P(Counts, AgreeWithQemusOwnBlockStatistics) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const double reads_before = vm.block_statistic("rd_operations");
  const double writes_before = vm.block_statistic("wr_operations");
  daemon.events_on(request_events);
  vm.guest().read(60);
  vm.guest().write(40);

  expect_counted(daemon, vm.block_statistic("rd_operations") - reads_before,
                 vm.block_statistic("wr_operations") - writes_before);
}

TEST_P(Counts, RiseWithEverySingleRequestAtALowRate) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({"virtio_blk_handle_read"});

  // QEMU itself would write these few records to a `simple` trace only when it ends.
  for (unsigned count = 1; count <= 8; ++count) {
    vm.guest().read(1);
    ASSERT_TRUE(daemon.wait_counted("vm", "virtio_blk_handle_read", count));
  }
}

TEST_P(Counts, GoOnWithoutTimestampsInTheLog) {
  QemuOptions options;
  options.timestamps = false;
  Qemu vm(GetParam(), directory / "vm", options);
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  daemon.events_on(request_events);
  vm.guest().read(25);
  vm.guest().write(3);

  expect_counted(daemon, 25, 3);
  if (!vm.has_simple_backend()) {
    EXPECT_EQ(daemon.vm("vm").at("trace").at("timestamps"), false);
    EXPECT_THAT(daemon.vm("vm").at("degraded").dump(), testing::HasSubstr("-msg timestamp=on"));
  }
}

TEST_P(Counts, AreRightWithACatalogThatDoesNotFitAndTheStatusSaysSo) {
  Qemu vm(GetParam(), directory / "vm");
  const std::string catalog = directory / "trace-events-of-another-build";
  write_file(catalog,
             "virtio_blk_handle_read(int one, const char *two) \"nothing like it %d %s\"\n"
             "virtio_blk_handle_write(void) \"\"\n"
             "virtio_blk_req_complete(const char *name) \"%s\"\n");
  QemondOptions options = watching(vm);
  options.arguments = {"--trace-events", catalog};
  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));

  daemon.events_on(request_events);
  vm.guest().read(61);
  vm.guest().write(17);

  expect_counted(daemon, 61, 17);
  EXPECT_THAT(daemon.vm("vm").at("degraded").dump(), testing::HasSubstr(catalog));
}

}  // namespace
}  // namespace qemon::test
