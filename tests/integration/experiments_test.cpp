// Experiments: what is told of a run is what the guest is known to have done in it, and everything
// is switched back whatever becomes of those who asked.
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class Experiments : public OnQemu {
 protected:
  static json asked(const Qemond& daemon, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--output", "json", "experiment"});
    const auto done = daemon.qemon(arguments);
    EXPECT_EQ(done.status, ExitStatus{}) << done.err;
    return json::parse(done.out, nullptr, false);
  }
  static void begin(const Qemond& daemon, const std::string& name) {
    asked(daemon, {"start", name, "--pack", "virtio-blk"});
  }
  static void end(const Qemond& daemon, const std::string& name) { asked(daemon, {"stop", name}); }

  /// What list tells of it; null if it is not there.
  static json listed(const Qemond& daemon, const std::string& name) {
    const auto all = asked(daemon, {"list"});
    for (const auto& each : all.at("experiments"))
      if (each.at("name") == name) return each;
    return nullptr;
  }
  static std::string state(const Qemond& daemon, const std::string& name) {
    const auto experiment = listed(daemon, name);
    return experiment.is_null() ? "" : experiment.at("state").get<std::string>();
  }

  /// One series of the only VM of `summary`; null if it is not there.
  static json figures(const json& summary, const std::string& kind, const std::string& metric,
                      const json& labels) {
    for (const auto& each : summary.at("vms").at(0).at(kind))
      if (each.at("name") == metric && each.at("labels") == labels) return each;
    return nullptr;
  }
  static json counter(const json& summary, const std::string& metric, const json& labels) {
    return figures(summary, "counters", metric, labels);
  }
  static bool any_event_on(Qemu& vm) {
    return vm.monitor().event_enabled("virtio_blk_handle_read") ||
           vm.monitor().event_enabled("virtio_blk_handle_write") ||
           vm.monitor().event_enabled("virtio_blk_req_complete");
  }
};
ON_EACH_QEMU(Experiments);

const json reads = {{"operation", "read"}};
const json writes = {{"operation", "write"}};

TEST_P(Experiments, OfKnownWorkCompareAsTheKnownRatio) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  begin(daemon, "small");
  vm.guest().read(40);
  vm.guest().write(20);
  end(daemon, "small");
  vm.guest().read(70);  // Of neither.
  const double read_before = vm.block_statistic("rd_bytes");
  begin(daemon, "big");
  vm.guest().read(120);
  vm.guest().write(5);
  end(daemon, "big");
  const double read_in_big = vm.block_statistic("rd_bytes") - read_before;

  const auto compared = asked(daemon, {"compare", "small", "big"});
  std::map<std::string, json> runs;
  for (const auto& row : compared.at("rows"))
    runs[row.at("metric").get<std::string>() + row.at("labels").dump()] = row.at("runs");
  const auto bytes = runs["qemu_virtio_blk_bytes_total" + reads.dump()];
  EXPECT_EQ(bytes.at(0).at("delta"), 40 * 512);
  EXPECT_EQ(bytes.at(1).at("delta"), 120 * 512);
  EXPECT_EQ(bytes.at(1).at("ratio"), 3);
  EXPECT_EQ(runs["qemu_virtio_blk_requests_total" + writes.dump()].at(1).at("ratio"), 0.25);
  const auto durations = runs["qemu_virtio_blk_request_duration_seconds" + reads.dump()];
  EXPECT_EQ(durations.at(0).at("count"), 40);
  EXPECT_EQ(durations.at(1).at("count"), 120);
  EXPECT_EQ(runs[R"(qemu_trace_events_total{"event":"virtio_blk_req_complete"})"].at(1).at("delta"),
            125);
  // QEMU's own figure, which qemond asks for every few seconds only, is that of the run as well.
  bool found = false;
  for (const auto& row : compared.at("rows")) {
    if (row.at("metric") != "qemu_blockdev_bytes_total" ||
        row.at("labels").at("operation") != "read")
      continue;
    found = true;
    EXPECT_EQ(row.at("runs").at(0).at("delta"), 40 * 512);
    EXPECT_EQ(row.at("runs").at(1).at("delta"), read_in_big);
    EXPECT_EQ(row.at("runs").at(1).at("ratio"), 3);
  }
  EXPECT_TRUE(found);
  for (const auto& each : compared.at("experiments"))
    EXPECT_TRUE(each.at("complete").get<bool>()) << each.dump(1);

  const auto table = daemon.qemon({"experiment", "compare", "small", "big"});
  EXPECT_THAT(table.out, testing::ContainsRegex(
                             R"(qemu_virtio_blk_bytes_total.operation="read". +20480 +61440 +3)"));
  const auto csv = daemon.qemon({"experiment", "compare", "small", "big", "--output", "csv"});
  EXPECT_THAT(
      csv.out,
      HasSubstr("qemu_virtio_blk_bytes_total,\"operation=\"\"read\"\"\",delta,20480,61440,3\n"));
}

TEST_P(Experiments, DrawCurvesThatEndAtTheKnownTotal) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  begin(daemon, "a");
  vm.guest().read(3);
  end(daemon, "a");
  begin(daemon, "b");
  vm.guest().read(9);
  end(daemon, "b");

  const auto summary = asked(daemon, {"show", "b"});
  const std::string plot = directory / "plot.svg";
  const auto drawn = daemon.qemon({"experiment", "compare", "a", "b", "--plot", plot});

  const auto curve = counter(summary, "qemu_virtio_blk_requests_total", reads).at("curve");
  const auto seconds = summary.at("vms").at(0).at("seconds");
  EXPECT_EQ(curve.front(), 0);
  EXPECT_EQ(curve.back(), 9);
  EXPECT_EQ(curve.size(), seconds.size());
  EXPECT_EQ(seconds.back(), summary.at("length_seconds"));
  EXPECT_EQ(drawn.status, ExitStatus{}) << drawn.err;
  const auto parsed =
      run_program({"python3", "-c",
                   "import sys, xml.etree.ElementTree as e; r = e.parse(sys.argv[1]).getroot(); "
                   "print(len(r.findall('{http://www.w3.org/2000/svg}polyline')) >= 2)",
                   plot},
                  home());
  EXPECT_EQ(parsed.out, "True\n") << parsed.err;
}

TEST_P(Experiments, TellTheInstructionsOfTheGuest) {
  QemuOptions options;
  options.arguments = {"-icount", "shift=1"};
  Qemu vm(GetParam(), directory / "vm", options);
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const auto executed = [&] {
    return vm.monitor().execute("query-replay").at("icount").get<std::int64_t>();
  };

  vm.monitor().execute("stop");
  const auto before = executed();
  begin(daemon, "counted");
  vm.monitor().execute("cont");
  vm.guest().read(50);
  vm.monitor().execute("stop");
  const auto in_run = executed() - before;
  end(daemon, "counted");

  const auto summary = asked(daemon, {"show", "counted"});
  EXPECT_GT(in_run, 0);
  EXPECT_EQ(summary.at("vms").at(0).at("guest_instructions"), in_run);
  EXPECT_EQ(counter(summary, "qemu_virtio_blk_requests_total", reads).at("delta"), 50);
  EXPECT_THAT(daemon.qemon({"experiment", "show", "counted"}).out,
              HasSubstr("PER MILLION GUEST INSTRUCTIONS"));
}

TEST_P(Experiments, RunACommandAndReturnItsExitStatus) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const auto done = daemon.qemon({"experiment", "start", "a", "--pack", "virtio-blk", "--label",
                                  "cache=cold", "--", "sh", "-c", "echo --vm; exit 7"});
  const auto missing =
      daemon.qemon({"experiment", "start", "b", "--", "/nowhere/there-is-no-such-program"});

  EXPECT_EQ(done.status, (ExitStatus{7, 0}));
  EXPECT_EQ(done.out, "--vm\n");
  EXPECT_THAT(done.err, HasSubstr("a: finished after "));
  const auto experiment = listed(daemon, "a");
  EXPECT_EQ(experiment.at("state"), "finished");
  EXPECT_EQ(experiment.at("labels"), (json{{"cache", "cold"}}));
  EXPECT_THAT(experiment.at("command"), ElementsAre("sh", "-c", "echo --vm; exit 7"));
  EXPECT_FALSE(any_event_on(vm));
  EXPECT_EQ(missing.status, (ExitStatus{127, 0}));
  EXPECT_TRUE(listed(daemon, "b").is_null());
}

TEST_P(Experiments, DoNotRunTheCommandIfTheyCannotBegin) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  asked(daemon, {"start", "taken"});
  const std::string witness = directory / "witness";

  const auto taken = daemon.qemon({"experiment", "start", "taken", "--", "touch", witness});
  const auto no_pack =
      daemon.qemon({"experiment", "start", "x", "--pack", "virtio-bkl", "--", "touch", witness});
  const auto label =
      daemon.qemon({"experiment", "start", "x", "--label", "vm=1", "--", "touch", witness});

  EXPECT_EQ(taken.status, (ExitStatus{1, 0}));
  EXPECT_THAT(taken.err, HasSubstr("experiment taken runs already"));
  EXPECT_EQ(no_pack.status, (ExitStatus{1, 0}));
  EXPECT_THAT(no_pack.err, HasSubstr("virtio-blk"));
  EXPECT_EQ(label.status, (ExitStatus{1, 0}));
  EXPECT_THAT(label.err, HasSubstr("\"vm\" cannot be a label"));
  EXPECT_FALSE(std::filesystem::exists(witness));
}

TEST_P(Experiments, PassSignalsOnToTheCommandAndEndWithIt) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  ProcessOptions options;
  options.command = daemon.qemon_command(
      {"experiment", "start", "a", "--pack", "virtio-blk", "--", "sleep", "600"});
  options.err = directory / "err";
  Process qemon(options);
  ASSERT_TRUE(wait_until([&] { return state(daemon, "a") == "running"; }));

  qemon.signal(SIGTERM);

  EXPECT_EQ(qemon.wait(), (ExitStatus{128 + SIGTERM, 0}));
  EXPECT_EQ(state(daemon, "a"), "finished");
  EXPECT_FALSE(any_event_on(vm));
}

TEST_P(Experiments, AreAbandonedWhenTheirClientIsKilled) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  UniqueFd here(ends[0]);
  UniqueFd there(ends[1]);
  ProcessOptions options;
  // Reads until the test closes its end, so that it does not outlive the test.
  options.command =
      daemon.qemon_command({"experiment", "start", "gone", "--pack", "virtio-blk", "--", "cat"});
  options.conversation = there.get();
  Process qemon(options);
  there = UniqueFd();
  ASSERT_TRUE(wait_until([&] { return state(daemon, "gone") == "running"; }));
  vm.guest().read(6);

  qemon.kill();

  EXPECT_TRUE(wait_until([&] { return state(daemon, "gone") == "abandoned"; }));
  EXPECT_TRUE(wait_until([&] { return !any_event_on(vm); }));
  const auto summary = asked(daemon, {"show", "gone"});
  EXPECT_EQ(counter(summary, "qemu_virtio_blk_requests_total", reads).at("delta"), 6);
  EXPECT_FALSE(summary.at("complete").get<bool>());
}

TEST_P(Experiments, LeaveAPackOnThatWasOnBefore) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  ASSERT_EQ(daemon.qemon({"pack", "on", "virtio-blk"}).status, ExitStatus{});
  vm.guest().read(8);

  begin(daemon, "a");
  vm.guest().read(2);
  end(daemon, "a");
  vm.guest().read(1);

  EXPECT_TRUE(any_event_on(vm));
  const auto summary = asked(daemon, {"show", "a"});
  EXPECT_EQ(counter(summary, "qemu_virtio_blk_requests_total", reads).at("delta"), 2);
  EXPECT_TRUE(daemon.wait_counted("vm", "virtio_blk_handle_read", 11));
  EXPECT_EQ(daemon.vm("vm").at("leases"), 1);
}

TEST_P(Experiments, SelectARunForPanelsWhileItLasts) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const auto name =
      series("qemu_experiment_info", {{"vm", "vm"}, {"experiment", "a"}, {"cache", "cold 1"}});

  asked(daemon, {"start", "a", "--label", "cache=cold 1"});
  const auto during = daemon.scrape();
  end(daemon, "a");
  const auto after = daemon.scrape();

  EXPECT_EQ(during.count("qemu_experiment_info"), 1U);
  EXPECT_EQ(after.count("qemu_experiment_info"), 0U);
  EXPECT_EQ(during.get(name), 1);
}

TEST_P(Experiments, SayThatTheirVmWasAway) {
  auto vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(*vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  begin(daemon, "a");
  vm->guest().read(5);
  ASSERT_TRUE(daemon.wait_counted("vm", "virtio_blk_req_complete", 5));

  vm.reset();
  ASSERT_TRUE(daemon.wait_for_state("vm", "unreachable"));
  vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  ASSERT_TRUE(daemon.wait_attached("vm"));
  ASSERT_TRUE(wait_until([&] { return vm->monitor().event_enabled("virtio_blk_handle_read"); }));
  vm->guest().read(6);
  end(daemon, "a");

  const auto shown = daemon.qemon({"experiment", "show", "a"}).out;
  EXPECT_THAT(shown, HasSubstr("its monitor was out of reach"));
  EXPECT_THAT(shown, HasSubstr("its QEMU was started again"));
  const auto summary = asked(daemon, {"show", "a"});
  EXPECT_FALSE(summary.at("complete").get<bool>());
  EXPECT_GE(counter(summary, "qemu_virtio_blk_requests_total", reads).at("delta"), 11);
}

TEST_P(Experiments, OfAQemondThatIsKilledAreInterruptedAndSwitchedBack) {
  Qemu vm(GetParam(), directory / "vm");
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    begin(daemon, "done");
    vm.guest().read(4);
    end(daemon, "done");
    begin(daemon, "cut");
    daemon.crash();
  }
  ASSERT_TRUE(any_event_on(vm));

  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  EXPECT_TRUE(wait_until([&] { return !any_event_on(vm); }));
  EXPECT_EQ(state(daemon, "cut"), "interrupted");
  EXPECT_EQ(state(daemon, "done"), "finished");
  EXPECT_EQ(
      counter(asked(daemon, {"show", "done"}), "qemu_virtio_blk_requests_total", reads).at("delta"),
      4);
}

TEST_P(Experiments, OfAQemondThatEndsAreKeptAsFarAsTheyCame) {
  Qemu vm(GetParam(), directory / "vm");
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    begin(daemon, "cut");
    vm.guest().read(4);
    ASSERT_TRUE(daemon.wait_counted("vm", "virtio_blk_req_complete", 4));
    EXPECT_EQ(daemon.stop(), ExitStatus{});
  }
  EXPECT_FALSE(any_event_on(vm));

  const Qemond daemon(home(), watching(vm));

  const auto summary = asked(daemon, {"show", "cut"});
  EXPECT_EQ(summary.at("state"), "interrupted");
  EXPECT_EQ(counter(summary, "qemu_virtio_blk_requests_total", reads).at("delta"), 4);
}

}  // namespace
}  // namespace qemon::test
