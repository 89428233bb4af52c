// What qemon says, against a real QEMU.
#include <nlohmann/json.hpp>

#include "tests/integration/fixture.hpp"

namespace qemon::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CommandLine : public OnQemu {};
ON_EACH_QEMU(CommandLine);

/// Failed, with one line on standard error.
void expect_one_line_failure(const Finished& finished) {
  EXPECT_EQ(finished.status, (ExitStatus{1, 0})) << finished.out << finished.err;
  ASSERT_FALSE(finished.err.empty());
  EXPECT_EQ(finished.err.find('\n'), finished.err.size() - 1) << finished.err;
}

TEST_P(CommandLine, TellsHowManyEventsChangedOnWhichVm) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const Finished on = daemon.qemon({"event", "on", "virtio_blk_handle_*"});
  const Finished again = daemon.qemon({"event", "on", "virtio_blk_handle_read"});
  const Finished off = daemon.qemon({"event", "off", "virtio_blk_handle_write"});

  const auto matching =
      vm.monitor().execute("trace-event-get-state", {{"name", "virtio_blk_handle_*"}});
  EXPECT_THAT(on.out, AllOf(HasSubstr("vm"), HasSubstr(std::to_string(matching.size()))));
  EXPECT_THAT(again.out, AllOf(HasSubstr("vm"), HasSubstr("already on")));
  EXPECT_THAT(off.out, AllOf(HasSubstr("vm"), HasSubstr("1")));
}

TEST_P(CommandLine, ListsEventsByQemusOwnPatternRules) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event, write_event});

  const Finished enabled = daemon.qemon({"event", "list", "--enabled"});
  const Finished pattern = daemon.qemon({"event", "list", "virtio_blk_handle_r*"});
  const Finished question_mark = daemon.qemon({"event", "list", "virtio_blk_handle_rea?*"});

  EXPECT_THAT(enabled.out, AllOf(HasSubstr(read_event), HasSubstr(write_event),
                                 Not(HasSubstr("virtio_blk_req_complete"))));
  EXPECT_THAT(pattern.out, AllOf(HasSubstr(read_event), Not(HasSubstr(write_event))));
  EXPECT_THAT(question_mark.out, AllOf(HasSubstr(read_event), Not(HasSubstr(write_event))));
}

TEST_P(CommandLine, NamesAnUnknownEventAndSwitchesNothing) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const Finished name = daemon.qemon({"event", "on", "virtio_blk_handle_reed"});
  const Finished pattern = daemon.qemon({"event", "on", "virtio_blk_handle_reed*"});

  expect_one_line_failure(name);
  EXPECT_THAT(name.err, HasSubstr("virtio_blk_handle_reed"));
  expect_one_line_failure(pattern);
  EXPECT_THAT(pattern.err, HasSubstr("virtio_blk_handle_reed*"));
  EXPECT_EQ(daemon.scrape().count("qemu_trace_event_enabled"), 0U);
}

TEST_P(CommandLine, NamesAnUnknownVm) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const Finished on = daemon.qemon({"event", "on", read_event, "--vm", "elsewhere"});
  const Finished released = daemon.qemon({"vm", "release", "elsewhere", "--for", "60s"});

  expect_one_line_failure(on);
  EXPECT_THAT(on.err, HasSubstr("elsewhere"));
  expect_one_line_failure(released);
  EXPECT_THAT(released.err, HasSubstr("elsewhere"));
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
}

TEST_P(CommandLine, NamesAnEventThatIsCompiledOut) {
  Qemu vm(GetParam(), directory / "vm");
  std::string unavailable;
  for (const auto& each : vm.monitor().execute("trace-event-get-state", {{"name", "*"}})) {
    if (each.at("state") == "unavailable") unavailable = each.at("name");
  }
  if (unavailable.empty()) GTEST_SKIP() << "this QEMU has no event that is compiled out";
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const Finished name = daemon.qemon({"event", "on", unavailable});
  // The rest of a pattern that matches it is switched on all the same: QEMU itself refuses the
  // whole pattern.
  const Finished pattern = daemon.qemon(
      {"event", "on", unavailable.substr(0, unavailable.size() - 1) + "*", read_event});

  expect_one_line_failure(name);
  EXPECT_THAT(name.err, AllOf(HasSubstr(unavailable), HasSubstr("unavailable")));
  EXPECT_THAT(pattern.out + pattern.err, HasSubstr(unavailable));
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));
}

TEST_P(CommandLine, SwitchesEveryEventThatCanBe) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  // Everything at once would also trace the daemon's own talk; a large family will do.
  const Finished on = daemon.qemon({"event", "on", "qxl*", "v*"});

  const auto families = vm.monitor().execute("trace-event-get-state", {{"name", "v*"}});
  for (const auto& each : families) {
    ASSERT_NE(each.at("state"), "disabled") << each << on.out << on.err;
  }
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  const auto after = vm.monitor().execute("trace-event-get-state", {{"name", "*"}});
  for (const auto& each : after) EXPECT_NE(each.at("state"), "enabled") << each;
}

TEST_P(CommandLine, PrintsJsonOnEveryCommand) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const std::vector<std::vector<std::string>> commands{{"status"},
                                                       {"vm", "list"},
                                                       {"event", "on", read_event},
                                                       {"event", "list", "virtio_blk_*"},
                                                       {"event", "off", read_event},
                                                       {"vm", "release", "vm", "--for", "1s"}};

  for (const auto& command : commands) {
    std::vector<std::string> arguments{"--output", "json"};
    arguments.insert(arguments.end(), command.begin(), command.end());
    const Finished finished = daemon.qemon(arguments);
    EXPECT_EQ(finished.status, ExitStatus{}) << finished.err;
    EXPECT_TRUE(nlohmann::json::accept(finished.out)) << command.front() << ": " << finished.out;
  }
}

TEST_P(CommandLine, ShowsInTheStatusWhatQemuItIsAndHowItTraces) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});
  const auto version = vm.monitor().execute("query-version").at("qemu");
  const std::string number = std::to_string(version.at("major").get<int>()) + "." +
                             std::to_string(version.at("minor").get<int>());

  const Finished table = daemon.qemon({"status"});
  const Finished list = daemon.qemon({"vm", "list"});
  const auto status = daemon.vm("vm");

  EXPECT_EQ(table.status, ExitStatus{}) << table.err;
  const std::string backend = vm.has_simple_backend() ? "simple" : "log";
  EXPECT_THAT(table.out, AllOf(HasSubstr("vm"), HasSubstr(number), HasSubstr(backend)));
  EXPECT_THAT(list.out, AllOf(HasSubstr("vm"), HasSubstr("attached"), HasSubstr(number)));
  EXPECT_EQ(status.at("trace").at("backend"), backend);
  EXPECT_NE(status.at("trace").at("how"), "");
  EXPECT_EQ(status.at("pid"), vm.process().pid());
  EXPECT_EQ(status.at("run_state"), "running");
  EXPECT_EQ(status.at("events").at("on"), 1);
  EXPECT_EQ(status.at("events").at("held"), 1);
  EXPECT_GT(status.at("events").at("known"), 4000);
  EXPECT_EQ(status.at("degraded").size(), 0U) << status.at("degraded");
}

TEST(CommandLineAlone, NamesTheSocketWhenNoDaemonServes) {
  const TempDir directory;
  const Finished finished = run_qemon(directory.path().string(), directory / "nowhere", {"status"});

  expect_one_line_failure(finished);
  EXPECT_THAT(finished.err, HasSubstr(directory / "nowhere"));
}

TEST(CommandLineAlone, EndsWithTwoForUsageMistakes) {
  const TempDir directory;
  const std::vector<std::vector<std::string>> mistakes{
      {}, {"nonsense"}, {"event", "on"}, {"vm", "release"}, {"--output", "xml", "status"}};

  for (const auto& arguments : mistakes) {
    const Finished finished =
        run_qemon(directory.path().string(), directory / "nowhere", arguments);
    EXPECT_EQ(finished.status, (ExitStatus{2, 0})) << finished.out << finished.err;
    EXPECT_NE(finished.err, "");
  }
}

}  // namespace
}  // namespace qemon::test
