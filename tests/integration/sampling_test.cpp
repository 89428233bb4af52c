// Sampling: a fraction of the time tells how often an event occurs, and nothing stays on.
#include <signal.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"
#include "tests/support/sanitized.hpp"

namespace qemon::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class SamplingOf : public OnQemu {};
ON_EACH_QEMU(SamplingOf);

double of_read_event(const Metrics& metrics, const char* name) {
  return metrics.get(series(name, {{"vm", "vm"}, {"event", read_event}})).value_or(0);
}

TEST_P(SamplingOf, ASteadyLoadEstimatesWhatTheVmItselfCounts) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().start_reading();
  done(daemon.qemon({"event", "on", read_event, "--sample", "20ms/100ms"}));
  ASSERT_TRUE(wait_until(
      [&] { return of_read_event(daemon.scrape(), "qemu_trace_events_estimated_total") > 0; }));

  // The share of the time that a window had is known only as well as answers are noticed, and a
  // busy machine does not let the guest read steadily: then it is watched for longer.
  const auto begin = std::chrono::steady_clock::now();
  const auto reads_before = vm.block_statistic("rd_operations");
  const auto before = daemon.scrape();
  double estimated = 0, reads = 0, seen = 0, observed = 0;
  std::chrono::duration<double> elapsed{0};
  for (int stretch = 1; stretch <= 6 && std::abs(estimated - reads) >= 0.1 * reads; ++stretch) {
    Metrics after = before;
    const auto grown = [&](const char* name) {
      return of_read_event(after, name) - of_read_event(before, name);
    };
    ASSERT_TRUE(wait_until([&] {
      after = daemon.scrape();
      return grown("qemu_trace_event_observed_seconds_total") > 4 * stretch;
    }));
    reads = vm.block_statistic("rd_operations") - reads_before;
    elapsed = std::chrono::steady_clock::now() - begin;
    seen = grown("qemu_trace_events_total");
    observed = grown("qemu_trace_event_observed_seconds_total");
    estimated = grown("qemu_trace_events_estimated_total");
    std::printf("estimated %.0f of %.0f reads: %+.2f %%; seen %.0f in %.2f of %.2f s\n", estimated,
                reads, 100 * (estimated / reads - 1), seen, observed, elapsed.count());
  }
  vm.guest().stop();

  EXPECT_GT(reads, thread_sanitized ? 100 : 1000);
  EXPECT_NEAR(estimated, reads, 0.1 * reads);
  EXPECT_LT(seen, 0.8 * reads);
  EXPECT_LT(observed, 0.8 * elapsed.count());
}

TEST_P(SamplingOf, AnEventEndsWithItsLease) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  done(daemon.qemon({"event", "on", read_event, "--sample", "300ms/600ms"}));
  EXPECT_TRUE(wait_until([&] { return vm.monitor().event_enabled(read_event); }));
  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(read_event); }));
  EXPECT_TRUE(wait_until([&] { return vm.monitor().event_enabled(read_event); }));
  EXPECT_EQ(enabled_metric(daemon, "vm", read_event), 1);
  EXPECT_THAT(done(daemon.qemon({"lease", "list"})), HasSubstr(", sampled 300ms/600ms "));
  EXPECT_THAT(done(daemon.qemon({"event", "list", "--enabled"})), HasSubstr("sampled 300ms/600ms"));

  EXPECT_THAT(done(daemon.qemon({"event", "off", read_event})), HasSubstr("1 event off"));

  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_EQ(enabled_metric(daemon, "vm", read_event), 0);
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
}

TEST_P(SamplingOf, AnEventThatIsOnAnywayIsTheTruth) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  done(daemon.qemon({"event", "on", read_event, "--sample", "20ms/60m"}));
  done(daemon.qemon({"event", "on", read_event}));

  vm.guest().read(50);

  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 50));
  EXPECT_EQ(of_read_event(daemon.scrape(), "qemu_trace_events_estimated_total"), 50);
  done(daemon.qemon({"lease", "end", "2"}));
  EXPECT_EQ(of_read_event(daemon.scrape(), "qemu_trace_events_estimated_total"), 50);
  // The next window is up to an hour away.
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
}

TEST_P(SamplingOf, AnEventGoesOnAfterACrashAndIsThenPutBack) {
  Qemu vm(GetParam(), directory / "vm");
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    done(daemon.qemon({"event", "on", read_event, "--sample", "5s/6s"}));
    ASSERT_TRUE(wait_until([&] { return vm.monitor().event_enabled(read_event); }));
    daemon.crash();
  }
  ASSERT_TRUE(vm.monitor().event_enabled(read_event));

  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  // Its windows begin and end as before.
  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(read_event); }));
  EXPECT_TRUE(wait_until([&] { return vm.monitor().event_enabled(read_event); }));
  done(daemon.qemon({"lease", "end", "1"}));
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
}

TEST_P(SamplingOf, AnEventThatOthersSwitchOnIsLeftOn) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  done(daemon.qemon({"event", "on", read_event, "--sample", "100ms/400ms"}));
  ASSERT_TRUE(wait_until([&] { return vm.monitor().event_enabled(read_event); }));
  ASSERT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(read_event); }));

  vm.monitor().set_event(read_event, true);

  EXPECT_TRUE(wait_until([&] {
    return done(daemon.qemon({"event", "list", "--enabled"})).find("was on before") !=
           std::string::npos;
  }));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));
}

TEST_P(SamplingOf, APackMakesItsMetricsOfWhatWasSeen) {
  Qemu vm(GetParam(), directory / "vm");
  auto options = watching(vm);
  options.arguments.insert(options.arguments.end(), {"--budget", "unlimited"});
  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().start_polling();

  done(daemon.qemon({"pack", "on", "tcg", "--sample", "5ms/100ms"}));

  EXPECT_TRUE(wait_until([&] {
    const auto metrics = daemon.scrape();
    const auto executed =
        metrics.get(series("qemu_tcg_blocks_executed_total", {{"vm", "vm"}})).value_or(0);
    const auto estimated =
        metrics
            .get(series("qemu_trace_events_estimated_total", {{"vm", "vm"}, {"event", "exec_tb"}}))
            .value_or(0);
    return executed > 100 && estimated > 5 * executed;
  }));
  vm.guest().stop();
  done(daemon.qemon({"pack", "off", "tcg"}));
  EXPECT_FALSE(vm.monitor().event_enabled("exec_tb"));
}

// Whoever is lent the monitor finds the event off, also when its window was open.
TEST_P(SamplingOf, AnEventIsOffWhileTheMonitorIsLent) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  done(daemon.qemon({"event", "on", read_event, "--sample", "5s/6s"}));
  ASSERT_TRUE(wait_until([&] { return vm.monitor().event_enabled(read_event); }));

  done(daemon.qemon({"vm", "release", "vm", "--for", "10m"}));

  ASSERT_TRUE(wait_until([&] { return daemon.vm_state("vm") == "released"; }));
  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(read_event); }));
  done(daemon.qemon({"vm", "release", "vm", "--for", "1ms"}));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  EXPECT_TRUE(wait_until([&] { return vm.monitor().event_enabled(read_event); }));
}

/// A pack that wants to be sampled.
constexpr const char* sampled_pack =
    "version: 1\npack: reads\nhelp: Reads.\nsample: 5ms/100ms\nmetrics:\n"
    "  - {counter: qemu_reads_total, help: Reads., events: [virtio_blk_handle_read]}\n";

TEST_P(SamplingOf, APackMaySayItAndItsUserOtherwise) {
  Qemu vm(GetParam(), directory / "vm");
  std::filesystem::create_directory(directory / "packs");
  write_file(directory / "packs/reads.yaml", sampled_pack);
  write_file(directory / "qemond.yaml", "settings: [{match: vm, packs: [reads]}]\n");
  auto options = watching(vm);
  options.arguments.insert(options.arguments.end(), {"--pack-dir", directory / "packs", "--config",
                                                     directory / "qemond.yaml"});
  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));

  // As the configuration has it.
  EXPECT_TRUE(wait_until([&] {
    return done(daemon.qemon({"lease", "list"})).find("sampled 5ms/100ms") != std::string::npos;
  }));
  // All of the time, for somebody who says so.
  done(daemon.qemon({"pack", "on", "reads", "--sample", "off"}));
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));
  vm.guest().read(40);
  EXPECT_TRUE(wait_until([&] {
    return daemon.scrape().get(series("qemu_reads_total", {{"vm", "vm"}})) == 40;
  }));
}

/// Once for each look of the polling guest at its serial port.
constexpr const char* frequent = "memory_region_ops_read";

class CostOf : public OnQemu {};
ON_EACH_QEMU(CostOf);

/// The rows of `qemon event cost ARGUMENTS --output json` for the only VM.
nlohmann::json cost_of(const Qemond& daemon, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--output", "json", "event", "cost"});
  const auto answer = nlohmann::json::parse(done(daemon.qemon(arguments)));
  EXPECT_EQ(answer.at("vms").at(0).at("backend"), daemon.vm("vm").at("trace").at("backend"));
  return answer.at("vms").at(0).at("events");
}

TEST_P(CostOf, AFrequentEventIsSeenAndNothingIsLeftOn) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().start_polling();

  const auto cost = cost_of(daemon, {frequent, "--sample", "100ms"});
  std::printf("%s\n", cost.dump().c_str());

  ASSERT_EQ(cost.size(), 1U);
  EXPECT_GT(cost[0].at("records_per_second").get<double>() + cost[0].at("dropped").get<double>(),
            1000);
  EXPECT_GT(cost[0].at("bytes_per_second").get<double>(), 10'000);
  EXPECT_FALSE(vm.monitor().event_enabled(frequent));
  EXPECT_EQ(daemon.vm("vm").at("leases"), 0);
  EXPECT_EQ(daemon.vm("vm").at("trace").at("destination"), "none");
  vm.guest().stop();
}

TEST_P(CostOf, AnEventThatNeverOccursIsNothing) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  // A difference of nothing is beyond three times its error once in a hundred times.
  auto cost = cost_of(daemon, {"usb_ehci_reset"});
  for (int again = 0; again < 3 && !cost.at(0).at("cpu_cores").is_null(); ++again)
    cost = cost_of(daemon, {"usb_ehci_reset"});

  ASSERT_EQ(cost.size(), 1U);
  EXPECT_EQ(cost[0].at("records_per_second"), 0);
  EXPECT_EQ(cost[0].at("bytes_per_second"), 0);
  EXPECT_TRUE(cost[0].at("cpu_cores").is_null()) << cost.dump();
}

TEST_P(CostOf, AnEventThatIsOnIsLeftOn) {
  Qemu vm(GetParam(), directory / "vm");
  vm.monitor().set_event(read_event, true);
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const auto cost = cost_of(daemon, {read_event, "--sample", "20ms"});

  ASSERT_EQ(cost.size(), 1U);
  EXPECT_EQ(cost[0].at("note"), "is on already: only its rate was measured");
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));
}

TEST_P(CostOf, AnEventThatIsSampledIsSaidNotToBeMeasured) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  done(daemon.qemon({"event", "on", read_event, "--sample", "5ms/100ms"}));

  const auto cost = cost_of(daemon, {"virtio_blk_handle_*", "--sample", "10ms"});

  ASSERT_GE(cost.size(), 2U) << cost.dump();
  EXPECT_FALSE(cost.front().at("records_per_second").is_null());
  EXPECT_EQ(cost.back().at("name"), read_event);
  EXPECT_TRUE(cost.back().at("records_per_second").is_null());
  EXPECT_THAT(cost.back().at("note").get<std::string>(), HasSubstr("is sampled"));
}

TEST_P(CostOf, TooManyEventsIsNotAsked) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const auto refused = daemon.qemon({"event", "cost", "*"});

  EXPECT_NE(refused.status, ExitStatus{});
  EXPECT_THAT(refused.err, HasSubstr("events match, and at most 50 are measured at a time"));
}

TEST_P(CostOf, AnEventIsNotLeftOnByACrash) {
  Qemu vm(GetParam(), directory / "vm");
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    ProcessOptions options;
    options.command = daemon.qemon_command({"event", "cost", read_event, "--sample", "5s"});
    const Process asking(std::move(options));
    ASSERT_TRUE(wait_until([&] { return vm.monitor().event_enabled(read_event); }));
    daemon.crash();
  }
  ASSERT_TRUE(vm.monitor().event_enabled(read_event));

  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_EQ(daemon.vm("vm").at("leases"), 0);
}

}  // namespace
}  // namespace qemon::test
