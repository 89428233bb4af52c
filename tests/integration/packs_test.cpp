// Packs: the metrics that they make equal what the guest is known to have done, and they leave each
// other's events alone.
#include <csignal>
#include <filesystem>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using testing::HasSubstr;

class Packs : public OnQemu {
 protected:
  /// `qemon pack on|off NAME...`, which must succeed.
  static void switch_packs(const Qemond& daemon, const std::string& action,
                           std::vector<std::string> names) {
    names.insert(names.begin(), {"pack", action});
    const auto done = daemon.qemon(names);
    ASSERT_EQ(done.status, ExitStatus{}) << done.err;
  }

  /// The options of watching(vm), with packs from a folder of the test's own.
  QemondOptions with_own_packs(const Qemu& vm) const {
    auto options = watching(vm);
    options.arguments = {"--pack-dir", own_packs()};
    return options;
  }
  std::string own_packs() const {
    std::filesystem::create_directories(directory / "packs");
    return directory / "packs";
  }
};
ON_EACH_QEMU(Packs);

/// Of all series of a family, over all labels.
double sum_of(const Metrics& metrics, const std::string& name) {
  double sum = 0;
  for (const auto& [series_name, value] : metrics.samples())
    if (series_name.starts_with(name + "{")) sum += value;
  return sum;
}

TEST_P(Packs, EqualTheGuestsKnownWorkAndQemusBlockStatistics) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const double read_before = vm.block_statistic("rd_bytes");
  const double written_before = vm.block_statistic("wr_bytes");

  switch_packs(daemon, "on", {"virtio-blk", "block"});
  vm.guest().read(40);
  vm.guest().read_eight_sectors(9);
  vm.guest().write(21);
  switch_packs(daemon, "off", {"virtio-blk", "block"});

  const auto metrics = daemon.scrape();
  const auto value = [&](const char* name, const char* operation) {
    return metrics.get(series(name, {{"vm", "vm"}, {"operation", operation}}));
  };
  const double read_bytes = 512 * (40 + 9 * 8);
  EXPECT_EQ(value("qemu_virtio_blk_bytes_total", "read"), read_bytes);
  EXPECT_EQ(value("qemu_virtio_blk_bytes_total", "write"), 512 * 21);
  EXPECT_EQ(value("qemu_block_bytes_total", "read"), read_bytes);
  EXPECT_EQ(value("qemu_block_bytes_total", "write"), 512 * 21);
  EXPECT_EQ(vm.block_statistic("rd_bytes") - read_before, read_bytes);
  EXPECT_EQ(vm.block_statistic("wr_bytes") - written_before, 512 * 21);
  EXPECT_EQ(value("qemu_virtio_blk_request_duration_seconds_count", "read"), 49);
  EXPECT_EQ(value("qemu_virtio_blk_request_duration_seconds_count", "write"), 21);
  EXPECT_GT(value("qemu_virtio_blk_request_duration_seconds_sum", "read"), 0);
  EXPECT_EQ(metrics.get(series("qemu_virtio_blk_request_duration_seconds_bucket",
                               {{"vm", "vm"}, {"operation", "write"}, {"le", "+Inf"}})),
            21);
  EXPECT_EQ(metrics.get(series("qemond_pack_pairs_total",
                               {{"vm", "vm"},
                                {"metric", "qemu_virtio_blk_request_duration_seconds"},
                                {"outcome", "matched"}})),
            70);
}

TEST_P(Packs, ShowTheirDeclaredLabelsAtZeroFromTheBeginning) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  switch_packs(daemon, "on", {"virtio-blk"});

  const auto metrics = daemon.scrape();
  for (const char* operation : {"read", "write"}) {
    EXPECT_EQ(metrics.get(
                  series("qemu_virtio_blk_bytes_total", {{"vm", "vm"}, {"operation", operation}})),
              0);
    EXPECT_EQ(metrics.get(series("qemu_virtio_blk_request_duration_seconds_count",
                                 {{"vm", "vm"}, {"operation", operation}})),
              0);
  }
  EXPECT_EQ(metrics.get(series("qemond_pack_enabled", {{"vm", "vm"}, {"pack", "virtio-blk"}})), 1);
}

TEST_P(Packs, NeverSwitchOffWhatAnotherPackOrAPersonWants) {
  Qemu vm(GetParam(), directory / "vm");
  write_file(own_packs() + "/reads.yaml", R"(version: 1
pack: reads
help: Shares one event with virtio-blk.
metrics:
  - counter: my_reads_total
    help: Reads.
    events: virtio_blk_handle_read
)");
  const Qemond daemon(home(), with_own_packs(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.monitor().set_event("virtio_blk_rw_complete", true);
  daemon.events_on({"virtio_blk_handle_write"});

  switch_packs(daemon, "on", {"virtio-blk", "reads"});
  switch_packs(daemon, "off", {"virtio-blk"});

  EXPECT_TRUE(vm.monitor().event_enabled("virtio_blk_handle_read"));
  EXPECT_TRUE(vm.monitor().event_enabled("virtio_blk_handle_write"));
  EXPECT_TRUE(vm.monitor().event_enabled("virtio_blk_rw_complete"));
  EXPECT_FALSE(vm.monitor().event_enabled("virtio_blk_req_complete"));
  daemon.events_off({"*"});
  EXPECT_TRUE(vm.monitor().event_enabled("virtio_blk_handle_read"));
  EXPECT_FALSE(vm.monitor().event_enabled("virtio_blk_handle_write"));
  switch_packs(daemon, "off", {"reads"});
  EXPECT_FALSE(vm.monitor().event_enabled("virtio_blk_handle_read"));
  EXPECT_TRUE(vm.monitor().event_enabled("virtio_blk_rw_complete"));
}

TEST_P(Packs, FreezeWhileTheyAreOffAndGoOnWhenTheyAreOnAgain) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({"virtio_blk_*"});

  switch_packs(daemon, "on", {"virtio-blk"});
  vm.guest().read(5);
  switch_packs(daemon, "off", {"virtio-blk"});
  vm.guest().read(70);
  ASSERT_TRUE(daemon.wait_counted("vm", "virtio_blk_handle_read", 75));
  switch_packs(daemon, "on", {"virtio-blk"});
  vm.guest().read(3);

  EXPECT_TRUE(
      becomes(daemon, "qemu_virtio_blk_requests_total", {{"vm", "vm"}, {"operation", "read"}}, 8));
}

TEST_P(Packs, ComeBackWithAVmThatStartsAgain) {
  auto vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(*vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  switch_packs(daemon, "on", {"virtio-blk"});
  vm->guest().read(4);
  ASSERT_TRUE(
      becomes(daemon, "qemu_virtio_blk_requests_total", {{"vm", "vm"}, {"operation", "read"}}, 4));
  EXPECT_GE(sum_of(daemon.scrape(), "qemu_virtio_blk_device_requests_total"), 4);

  vm.reset();
  ASSERT_TRUE(daemon.wait_for_state("vm", "unreachable"));
  EXPECT_GE(sum_of(daemon.scrape(), "qemu_virtio_blk_device_requests_total"), 4);
  vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  ASSERT_TRUE(daemon.wait_attached("vm"));
  // The last of the three in the order of QEMU's list, in which they are switched on.
  ASSERT_TRUE(wait_until([&] { return vm->monitor().event_enabled("virtio_blk_handle_read"); }));
  // The BIOS may have read since then. Once the write is counted, what it did is counted too.
  vm->guest().write(1);
  ASSERT_TRUE(
      becomes(daemon, "qemu_virtio_blk_requests_total", {{"vm", "vm"}, {"operation", "write"}}, 1));
  const auto name = series("qemu_virtio_blk_requests_total", {{"vm", "vm"}, {"operation", "read"}});
  const double before = daemon.scrape().get(name).value_or(-1);
  vm->guest().read(6);

  EXPECT_GE(before, 4);
  EXPECT_TRUE(wait_until([&] { return daemon.scrape().get(name) == before + 6; }));
  // A device is told by its address in QEMU: what the one before had is gone with it.
  EXPECT_EQ(sum_of(daemon.scrape(), "qemu_virtio_blk_device_requests_total"), before - 4 + 6 + 1);
}

constexpr const char* own_pack = R"(version: 1
pack: own
help: A pack of a user's own.
metrics:
  - counter: my_reads_total
    help: Reads.
    events: virtio_blk_handle_read
)";

TEST_P(Packs, KeepTheirCountersOverAReload) {
  Qemu vm(GetParam(), directory / "vm");
  write_file(own_packs() + "/own.yaml", own_pack);
  Qemond daemon(home(), with_own_packs(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  switch_packs(daemon, "on", {"own", "virtio-blk"});
  vm.guest().read(7);
  ASSERT_TRUE(becomes(daemon, "my_reads_total", {{"vm", "vm"}}, 7));

  write_file(own_packs() + "/own.yaml",
             std::string(own_pack) + R"(  - counter: my_written_sectors_total
    help: Sectors.
    events: virtio_blk_handle_write
    add: nsectors
)");
  const auto reloaded = daemon.qemon({"reload"});
  ASSERT_TRUE(becomes(daemon, "my_written_sectors_total", {{"vm", "vm"}}, 0));
  vm.guest().read(2);
  vm.guest().write(3);

  EXPECT_EQ(reloaded.status, ExitStatus{}) << reloaded.err;
  EXPECT_TRUE(becomes(daemon, "my_reads_total", {{"vm", "vm"}}, 9));
  EXPECT_TRUE(becomes(daemon, "my_written_sectors_total", {{"vm", "vm"}}, 3));
  EXPECT_TRUE(becomes(daemon, "qemu_virtio_blk_request_duration_seconds_count",
                      {{"vm", "vm"}, {"operation", "read"}}, 9));
}

TEST_P(Packs, AreLoadedAnewBySighupAndGoOffWhenTheirFileIsGone) {
  Qemu vm(GetParam(), directory / "vm");
  write_file(own_packs() + "/own.yaml", own_pack);
  Qemond daemon(home(), with_own_packs(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  switch_packs(daemon, "on", {"own"});
  ASSERT_TRUE(vm.monitor().event_enabled("virtio_blk_handle_read"));

  std::filesystem::remove(own_packs() + "/own.yaml");
  daemon.process().signal(SIGHUP);

  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled("virtio_blk_handle_read"); }));
  EXPECT_THAT(daemon.log(), HasSubstr("pack=own is off"));
}

TEST_P(Packs, DoNotKeepQemondFromEndingWhenItIsToldToReloadAsWell) {
  Qemu vm(GetParam(), directory / "vm");
  // Takes a while to read.
  std::string map;
  for (int i = 0; i < 20000; ++i) map += (i > 0 ? ", " : "") + std::to_string(i) + ": x";
  write_file(
      own_packs() + "/big.yaml",
      "version: 1\npack: big\nhelp: H.\nmetrics:\n"
      "  - {counter: a_total, help: A., events: bdrv_co_preadv, labels: {a: {argument: bytes, "
      "decode: {map: {" +
          map + "}, default: y}}}}\n");
  Qemond daemon(home(), with_own_packs(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const auto stat = "/proc/" + std::to_string(daemon.process().pid()) + "/stat";

  // Both arrive while it is busy with the first, and are handled in one turn.
  daemon.process().signal(SIGHUP);
  (void)wait_until([&] { return read_file(stat).find(") R ") != std::string::npos; });
  daemon.process().signal(SIGTERM);

  EXPECT_EQ(daemon.stop(SIGHUP), ExitStatus{});
}

TEST_P(Packs, AreNamedOnceHoweverOftenTheyAreAskedFor) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const auto done = daemon.qemon({"pack", "on", "virtio-blk", "virtio-blk"});

  EXPECT_THAT(done.out, HasSubstr("vm: 3 events on (virtio_blk_handle_read, "
                                  "virtio_blk_handle_write, virtio_blk_req_complete)"));
}

TEST_P(Packs, TellAtAReloadWhatDoesNotFitTheVm) {
  Qemu vm(GetParam(), directory / "vm");
  write_file(own_packs() + "/own.yaml", own_pack);
  const Qemond daemon(home(), with_own_packs(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  switch_packs(daemon, "on", {"own"});

  write_file(own_packs() + "/own.yaml", std::string(own_pack) + "    add: nsector\n");
  const auto reloaded = daemon.qemon({"reload"});

  EXPECT_EQ(reloaded.status, (ExitStatus{1, 0}));
  EXPECT_THAT(reloaded.err, HasSubstr("vm: a metric is left out: "));
  EXPECT_THAT(reloaded.err,
              HasSubstr("own.yaml:8: add: event virtio_blk_handle_read has no argument "
                        "\"nsector\": did you mean nsectors?"));
  EXPECT_THAT(daemon.log(), HasSubstr("own.yaml:8: add:"));
}

TEST_P(Packs, StayAsTheyWereWhenTheNewFileHasMistakes) {
  Qemu vm(GetParam(), directory / "vm");
  write_file(own_packs() + "/own.yaml", own_pack);
  const Qemond daemon(home(), with_own_packs(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  switch_packs(daemon, "on", {"own"});

  write_file(own_packs() + "/own.yaml", std::string(own_pack) + "    adds: 1\n");
  const auto reloaded = daemon.qemon({"reload"});
  vm.guest().read(5);

  EXPECT_EQ(reloaded.status, (ExitStatus{1, 0}));
  EXPECT_THAT(reloaded.err,
              HasSubstr("own.yaml:8: adds: there is no such key here: did you mean add?"));
  EXPECT_TRUE(becomes(daemon, "my_reads_total", {{"vm", "vm"}}, 5));
}

TEST_P(Packs, HaveNoLatenciesWithoutTimestampsAndSaySo) {
  QemuOptions options;
  options.timestamps = false;
  Qemu vm(GetParam(), directory / "vm", options);
  if (vm.has_simple_backend()) GTEST_SKIP() << "the simple backend always has times";
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  switch_packs(daemon, "on", {"virtio-blk"});
  vm.guest().read(6);

  EXPECT_TRUE(
      becomes(daemon, "qemu_virtio_blk_requests_total", {{"vm", "vm"}, {"operation", "read"}}, 6));
  EXPECT_EQ(daemon.scrape().count("qemu_virtio_blk_request_duration_seconds_count"), 0U);
  EXPECT_THAT(daemon.qemon({"pack", "list"}).out, HasSubstr("-msg timestamp=on"));
}

TEST_P(Packs, DiscardWhatIsInFlightWhenTheVmIsReset) {
  Qemu vm(GetParam(), directory / "vm");
  write_file(own_packs() + "/own.yaml", R"(version: 1
pack: own
help: A begin whose end never comes.
metrics:
  - latency: my_wait_seconds
    help: From a read to the next write.
    begin: virtio_blk_handle_read
    end: virtio_blk_handle_write
    key: vdev
)");
  const Qemond daemon(home(), with_own_packs(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  switch_packs(daemon, "on", {"own"});
  vm.guest().read(1);
  ASSERT_TRUE(becomes(daemon, "qemond_pack_pairs_in_flight",
                      {{"vm", "vm"}, {"metric", "my_wait_seconds"}}, 1));

  vm.monitor().execute("system_reset");

  EXPECT_TRUE(wait_until([&] {
    return daemon.scrape().get(series(
               "qemond_pack_pairs_total",
               {{"vm", "vm"}, {"metric", "my_wait_seconds"}, {"outcome", "discarded"}})) >= 1;
  }));
}

TEST_P(Packs, CountEveryExecutedBlockInOneRangeOfTheHeatMap) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  switch_packs(daemon, "on", {"tcg"});
  vm.guest().read(50);
  EXPECT_TRUE(
      wait_until([&] { return daemon.scrape().count("qemu_tcg_executed_page_total") > 1; }));
  vm.guest().read(50);
  switch_packs(daemon, "off", {"tcg"});

  const auto metrics = daemon.scrape();
  const double executed = daemon.counted("vm", "exec_tb");
  EXPECT_GT(executed, 100);
  EXPECT_EQ(sum_of(metrics, "qemu_tcg_executed_page_total"), executed);
  EXPECT_EQ(sum_of(metrics, "qemu_tcg_blocks_executed_total"), executed);
  EXPECT_GT(metrics.count("qemu_tcg_hot_pc"), 1U);
  EXPECT_EQ(metrics.count("qemu_tcg_hot_pc"), metrics.count("qemu_tcg_hot_pc_error"));
}

TEST_P(Packs, AreListedWithWhatAVmCannotOffer) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  switch_packs(daemon, "on", {"block"});

  const auto listed = daemon.qemon({"pack", "list"});
  const auto shown = daemon.qemon({"pack", "show", "virtio-blk"});
  const auto unknown = daemon.qemon({"pack", "on", "virtio-bkl"});

  EXPECT_THAT(listed.out, testing::ContainsRegex("block +vm +on +2 "));
  EXPECT_THAT(listed.out, HasSubstr("vm: qemu_riscv_exceptions_total: lacks the event riscv_trap"));
  EXPECT_THAT(shown.out, HasSubstr("qemu_virtio_blk_request_duration_seconds"));
  EXPECT_THAT(shown.out, HasSubstr("virtio_blk_req_complete"));
  EXPECT_EQ(unknown.status, (ExitStatus{1, 0}));
  EXPECT_EQ(unknown.err, "qemon: there is no pack virtio-bkl: did you mean virtio-blk?\n");
}

TEST_P(Packs, AreEachUsableAndLeaveNothingOn) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const auto packs = nlohmann::json::parse(daemon.qemon({"pack", "list", "--output", "json"}).out);

  for (const auto& pack : packs.at("packs")) {
    const auto name = pack.at("name").get<std::string>();
    const bool offered = !pack.at("vms").empty() &&
                         pack.at("vms").at(0).at("not_offered").size() < pack.at("metrics").size();
    if (!offered) continue;  // Not compiled in, or only for replay.
    switch_packs(daemon, "on", {name});
    vm.guest().read(2);
    switch_packs(daemon, "off", {name});
    const auto metrics = daemon.scrape();
    EXPECT_EQ(sum_of(metrics, "qemond_pack_evaluation_errors_total"), 0) << name << metrics.text();
  }

  EXPECT_EQ(daemon.vm("vm").at("events").at("on"), 0);
  EXPECT_EQ(daemon.stop(), ExitStatus{});
}

}  // namespace
}  // namespace qemon::test
