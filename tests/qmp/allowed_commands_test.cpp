#include "qmp/allowed_commands.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "qmp/error.hpp"
#include "qmp/hmp_translation.hpp"
#include "tests/support/files.hpp"

namespace qemon::qmp {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> lines_as_documented() {
  std::vector<std::string> lines;
  for (const auto& line : allowed_lines())
    lines.push_back(std::string(line.words) + (line.with_arguments ? " ..." : ""));
  return lines;
}

bool may_send(std::string_view command, const json& arguments = nullptr) {
  return check_allowed(command, arguments).has_value();
}

bool may_type(const std::string& line) {
  return may_send("human-monitor-command", {{"command-line", line}});
}

// A command that is added has to be added here and to docs/monitor-commands.md.
TEST(AllowedCommands, AreThese) {
  EXPECT_THAT(
      allowed_commands(),
      ElementsAre("add-fd", "block-latency-histogram-set", "human-monitor-command",
                  "qmp_capabilities", "qom-get", "query-accelerators", "query-balloon",
                  "query-block-jobs", "query-blockstats", "query-commands", "query-cpus-fast",
                  "query-dirty-rate", "query-iothreads", "query-jobs", "query-kvm",
                  "query-memory-size-summary", "query-migrate", "query-name", "query-replay",
                  "query-stats", "query-stats-schemas", "query-status", "query-target",
                  "query-uuid", "query-version", "remove-fd", "trace-event-get-state",
                  "trace-event-set-state", "x-query-irq", "x-query-jit"));
  EXPECT_THAT(
      lines_as_documented(),
      ElementsAre("help trace-file", "info balloon", "info block", "info block-jobs",
                  "info blockstats", "info cpus", "info dirty_rate", "info iothreads", "info irq",
                  "info jit", "info kvm", "info memory_size_summary", "info migrate", "info name",
                  "info replay", "info status", "info sync-profile 50", "info trace-events ...",
                  "info uuid", "info version", "log help", "logfile ...", "qom-get ...",
                  "sync-profile", "sync-profile off", "sync-profile on", "trace-event ...",
                  "trace-file", "trace-file flush", "trace-file off", "trace-file on",
                  "trace-file set ..."));
}

TEST(AllowedCommands, AreDocumented) {
  const auto page = qemon::test::read_file(QEMON_TEST_DATA "/../../docs/monitor-commands.md");

  for (const auto command : allowed_commands())
    EXPECT_THAT(page, HasSubstr("`" + std::string(command) + "`"));
  for (const auto& line : allowed_lines())
    EXPECT_THAT(page, HasSubstr("`" + std::string(line.words)));
}

TEST(AllowedCommands, RefuseEverythingElse) {
  for (const char* command : {"", "quit", "system_reset", "device_add", "qom-set", "query-block",
                              "query-statu", "query-status ", "QUERY-STATUS", "migrate", "getfd"})
    EXPECT_FALSE(may_send(command)) << command;
  const auto refused = check_allowed("quit", nullptr);
  EXPECT_EQ(refused.error().code, errc::invalid_argument);
}

TEST(AllowedCommands, RefuseOtherLinesInTheHumanMonitorCommand) {
  for (const char* line :
       {"", "quit", "system_reset", "info qtree", "info", "log all", "log help all", "logfilex a",
        "trace-file set-something", "info trace-eventsx", "sync-profile reset", " info status",
        "info status\nquit", "logfile a\nquit", "logfile a\rquit", "logfile \x1b", "hostfwd_add"})
    EXPECT_FALSE(may_type(line)) << line;
  EXPECT_FALSE(may_send("human-monitor-command"));
  EXPECT_FALSE(may_send("human-monitor-command", {{"command-line", 5}}));
}

TEST(AllowedCommands, LetArgumentsStandBehindSomeLines) {
  EXPECT_TRUE(may_type("logfile \"/proc/self/fd/20\""));
  EXPECT_TRUE(may_type("trace-file set \"/run/qemond/trace/a b\""));
  EXPECT_TRUE(may_type("info trace-events"));
  EXPECT_TRUE(may_type("info trace-events \"x*\""));
}

TEST(AllowedCommands, CoverWhatAHumanMonitorIsTypedFor) {
  const json arguments = {{"name", "e"},
                          {"enable", true},
                          {"path", "/machine"},
                          {"property", "type"},
                          {"command-line", "log help"}};
  const json human = {{"command-line", "log help"}};

  for (const auto command : allowed_commands()) {
    const auto lines =
        hmp_lines_for(command, command == "human-monitor-command" ? human : arguments);
    if (!lines) continue;  // Nothing that a human monitor has.
    for (const auto& line : *lines)
      EXPECT_TRUE(line.empty() || is_allowed_line(line)) << command << ": " << line;
  }
}

}  // namespace
}  // namespace qemon::qmp
