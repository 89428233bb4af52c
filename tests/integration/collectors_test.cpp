// What the monitor and /proc tell without any trace event on.
#include <csignal>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using testing::HasSubstr;

class Collectors : public OnQemu {
 protected:
  /// Often enough for a test.
  static QemondOptions hurried(const Qemu& vm) {
    auto options = watching(vm);
    for (const char* each : {"block=100ms", "irq=100ms", "jit=100ms", "memory=100ms",
                             "threads=100ms", "process=100ms", "jobs=100ms", "migration=100ms"}) {
      options.arguments.insert(options.arguments.end(), {"--collector", each});
    }
    return options;
  }
};
ON_EACH_QEMU(Collectors);

TEST_P(Collectors, CountTheGuestsDiskWorkWithoutAnyEventOn) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), hurried(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  vm.guest().read(30);
  vm.guest().write(11);

  // The BIOS has read before, and QEMU counts that too.
  const double reads = vm.block_statistic("rd_operations");
  const double written = vm.block_statistic("wr_bytes");
  EXPECT_GE(reads, 30);
  EXPECT_TRUE(wait_until([&] {
    const auto metrics = daemon.scrape();
    double found = 0;
    double bytes = 0;
    for (const auto& [name, value] : metrics.samples()) {
      if (name.starts_with("qemu_blockdev_operations_total{") &&
          name.find("operation=\"read\"") != std::string::npos)
        found += value;
      if (name.starts_with("qemu_blockdev_bytes_total{") &&
          name.find("operation=\"write\"") != std::string::npos)
        bytes += value;
    }
    return found == reads && bytes == written;
  }));
  EXPECT_EQ(daemon.vm("vm").at("events").at("on"), 0);
}

TEST_P(Collectors, TellTheRunStateAndCountQmpEvents) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), hurried(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  EXPECT_TRUE(becomes(daemon, "qemu_run_state", {{"vm", "vm"}, {"state", "running"}}, 1));

  vm.monitor().execute("stop");

  EXPECT_TRUE(becomes(daemon, "qemu_run_state", {{"vm", "vm"}, {"state", "paused"}}, 1));
  EXPECT_TRUE(becomes(daemon, "qemu_run_state", {{"vm", "vm"}, {"state", "running"}}, 0));
  EXPECT_TRUE(becomes(daemon, "qemu_qmp_events_total", {{"vm", "vm"}, {"event", "STOP"}}, 1));
  EXPECT_TRUE(wait_until([&] {
    return daemon.scrape().get(
               series("qemu_run_state_seconds_total", {{"vm", "vm"}, {"state", "paused"}})) > 0;
  }));
}

TEST_P(Collectors, SayHowTheyAreDoing) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), hurried(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  for (const char* collector : {"block", "irq", "jit", "memory", "threads", "process"}) {
    EXPECT_TRUE(
        becomes(daemon, "qemond_collector_success", {{"vm", "vm"}, {"collector", collector}}, 1))
        << collector;
  }
  const auto metrics = daemon.scrape();
  EXPECT_GT(metrics.get(series("qemond_collector_last_success_timestamp_seconds",
                               {{"vm", "vm"}, {"collector", "block"}})),
            1.7e9);
  EXPECT_EQ(metrics.count("qemu_kvm_exits_total"), 0U);
  EXPECT_GT(metrics.get(series("qemu_memory_base_bytes", {{"vm", "vm"}})), 0);
  EXPECT_GT(metrics.get(series("qemu_process_resident_memory_bytes", {{"vm", "vm"}})).value_or(0),
            0)
      << metrics.text();
}

TEST_P(Collectors, CanBeSwitchedOff) {
  Qemu vm(GetParam(), directory / "vm");
  auto options = hurried(vm);
  options.arguments.insert(options.arguments.end(), {"--collector", "vm=block=off"});
  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));
  ASSERT_TRUE(
      becomes(daemon, "qemond_collector_success", {{"vm", "vm"}, {"collector", "memory"}}, 1));

  EXPECT_EQ(daemon.scrape().count("qemu_blockdev_bytes_total"), 0U);
  EXPECT_FALSE(daemon.scrape()
                   .get(series("qemond_collector_success", {{"vm", "vm"}, {"collector", "block"}}))
                   .has_value());
}

TEST_P(Collectors, LeaveNoHistogramInQemuWhenTheyAreSwitchedOffOrQemondEnds) {
  Qemu vm(GetParam(), directory / "vm");
  const auto has_histogram = [&] {
    return vm.monitor().execute("query-blockstats").dump().find("rd_latency_histogram") !=
           std::string::npos;
  };
  const auto config = directory / "qemond.yaml";
  write_file(config, "settings: [{match: \"*\", collectors: {block-latency: 1s}}]\n");
  auto options = watching(vm);
  options.arguments.insert(options.arguments.end(), {"--config", config});
  Qemond daemon(home(), options);
  ASSERT_TRUE(wait_until(has_histogram));
  vm.guest().read(9);
  EXPECT_TRUE(wait_until([&] {
    double reads = 0;
    const auto metrics = daemon.scrape();
    for (const auto& [name, value] : metrics.samples())
      if (name.starts_with("qemu_blockdev_latency_seconds_count{") &&
          name.find("operation=\"read\"") != std::string::npos)
        reads += value;
    return reads == 9;
  }));

  write_file(config, "settings: []\n");
  EXPECT_EQ(daemon.qemon({"reload"}).status, ExitStatus{});
  EXPECT_TRUE(wait_until([&] { return !has_histogram(); }));

  write_file(config, "settings: [{match: \"*\", collectors: {block-latency: 1s}}]\n");
  EXPECT_EQ(daemon.qemon({"reload"}).status, ExitStatus{});
  ASSERT_TRUE(wait_until(has_histogram));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_FALSE(has_histogram());
}

TEST_P(Collectors, LeaveNothingInQemuAfterACrash) {
  Qemu vm(GetParam(), directory / "vm");
  const auto has_histogram = [&] {
    return vm.monitor().execute("query-blockstats").dump().find("rd_latency_histogram") !=
           std::string::npos;
  };
  const auto is_profiled = [&] {
    return vm.monitor().human("sync-profile").find("is on") != std::string::npos;
  };
  const auto config = directory / "qemond.yaml";
  const auto begin_and_kill = [&] {
    write_file(config,
               "settings: [{match: \"*\", collectors: {block-latency: 1s, sync-profile: 1s}}]\n");
    auto options = watching(vm);
    options.arguments.insert(options.arguments.end(), {"--config", config});
    Qemond daemon(home(), options);
    EXPECT_TRUE(wait_until([&] { return has_histogram() && is_profiled(); }));
    daemon.crash();
    EXPECT_TRUE(has_histogram() && is_profiled());
  };

  // The next qemond does not want them any more.
  begin_and_kill();
  {
    const Qemond daemon(home(), watching(vm));
    EXPECT_TRUE(wait_until([&] { return !has_histogram() && !is_profiled(); }));
  }

  // There is no next one.
  begin_and_kill();
  const auto restored =
      run_qemon(home(), directory / "control", {"restore", "--runtime-dir", directory / "run"});
  EXPECT_EQ(restored.status, ExitStatus{}) << restored.err;
  EXPECT_FALSE(has_histogram());
  EXPECT_FALSE(is_profiled());
}

TEST_P(Collectors, DropTheirGaugesWhileTheMonitorDoesNotAnswer) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), hurried(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  ASSERT_TRUE(
      becomes(daemon, "qemond_collector_success", {{"vm", "vm"}, {"collector", "block"}}, 1));
  ASSERT_TRUE(
      becomes(daemon, "qemond_collector_success", {{"vm", "vm"}, {"collector", "memory"}}, 1));
  ASSERT_GT(daemon.scrape().count("qemu_blockdev_bytes_total"), 0U);

  vm.process().signal(SIGSTOP);

  EXPECT_TRUE(wait_until([&] { return up_metric(daemon, "vm") == 0; }));
  const auto metrics = daemon.scrape();
  EXPECT_EQ(metrics.count("qemu_memory_base_bytes"), 0U);
  EXPECT_EQ(metrics.count("qemu_run_state"), 0U);
  EXPECT_GT(metrics.count("qemu_blockdev_bytes_total"), 0U);
  vm.process().signal(SIGCONT);
  EXPECT_TRUE(wait_until([&] { return daemon.scrape().count("qemu_memory_base_bytes") == 1; }));
}

TEST_P(Collectors, ForgetAVmThatIsGone) {
  auto vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  const Qemond daemon(home(), hurried(*vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  ASSERT_TRUE(
      becomes(daemon, "qemond_collector_success", {{"vm", "vm"}, {"collector", "block"}}, 1));

  vm.reset();

  EXPECT_TRUE(wait_until([&] { return daemon.scrape().count("qemu_blockdev_bytes_total") == 0; }));
  EXPECT_EQ(daemon.scrape().count("qemond_collector_success"), 0U);
}

}  // namespace
}  // namespace qemon::test
