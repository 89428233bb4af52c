#include "qmp/trace_commands.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/qmp/client_fixture.hpp"

namespace qemon::qmp::test {
namespace {

using nlohmann::json;
using qemon::test::run;
using testing::HasSubstr;
using testing::StartsWith;

class TraceCommands : public ClientTest {
 protected:
  /// A QEMU whose human monitor is `human` and whose QMP commands all answer `answer`.
  void start_with(std::function<json(const std::string&)> human, json answer = nullptr) {
    Answers answers;
    answers.human = std::move(human);
    answers.command = [answer = std::move(answer), this](const json& command) {
      asked = command.at("execute").get<std::string>() + " " +
              command.value("arguments", json()).dump();
      return answer;
    };
    start(answering(answers));
  }

  std::string asked;
};

/// QEMU's `trace-file`, which never reports a failure.
struct TraceFile {
  std::string name = "trace-42";
  bool on = false;
  bool can_open = true;
  bool deaf = false;

  json operator()(const std::string& line) {
    if (line == "trace-file") return "Trace file \"" + name + "\" " + (on ? "on" : "off") + ".\r\n";
    if (deaf) return "";
    if (line == "trace-file on") on = can_open;
    if (line == "trace-file off") on = false;
    if (line.starts_with("trace-file set \"")) {
      name = line.substr(16, line.size() - 17);
      on = on && can_open;
    }
    return "";
  }
};

TEST_F(TraceCommands, ReadsEventStates) {
  start_with(nullptr, json::parse(R"([{"vcpu": false, "name": "a", "state": "disabled"},
                                      {"name": "b", "state": "enabled"}, {"name": "c", "state": "unavailable"}])"));

  const auto states = run(context, get_event_states(*client, "*"));

  ASSERT_TRUE(states) << states.error().detail;
  ASSERT_EQ(states->size(), 3U);
  EXPECT_EQ((*states)[0].name, "a");
  EXPECT_EQ((*states)[0].state, TraceEventState::disabled);
  EXPECT_EQ((*states)[1].state, TraceEventState::enabled);
  EXPECT_EQ((*states)[2].state, TraceEventState::unavailable);
  EXPECT_EQ(asked, "trace-event-get-state {\"name\":\"*\"}");
}

TEST_F(TraceCommands, RefusesOddEventStates) {
  for (const auto* answer :
       {"{}", "5", "[5]", "[{}]", R"([{"name": 5, "state": "enabled"}])", R"([{"name": "a"}])",
        R"([{"name": "a", "state": "on"}])", R"([{"name": "a", "state": 1}])"}) {
    start_with(nullptr, json::parse(answer));

    const auto states = run(context, get_event_states(*client, "a"));

    ASSERT_FALSE(states) << answer;
    EXPECT_EQ(states.error().code, errc::protocol);
    EXPECT_THAT(states.error().detail,
                StartsWith("trace events a: trace-event-get-state: unexpected answer "));
    client.reset();
  }
}

TEST_F(TraceCommands, SwitchesOneEvent) {
  start_with(nullptr, json::object());

  EXPECT_TRUE(run(context, set_event_state(*client, "virtio_notify", true)));

  EXPECT_EQ(asked, "trace-event-set-state {\"enable\":true,\"name\":\"virtio_notify\"}");
  EXPECT_EQ(run(context, set_event_state(*client, "virtio_*", true)).error().code,
            errc::invalid_argument);
}

TEST_F(TraceCommands, SaysWhichEventCouldNotBeSwitched) {
  start_with(nullptr, {{"error", "unknown event \"x\""}});

  const auto done = run(context, set_event_state(*client, "x", false));

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().detail, "trace event x off: trace-event-set-state: unknown event \"x\"");
}

TEST_F(TraceCommands, CleansHumanAnswers) {
  start_with([](const std::string& line) { return json("you said\r\n" + line + "\r\n"); });

  EXPECT_EQ(*run(context, human_command(*client, "info status")), "you said\ninfo status");
}

TEST_F(TraceCommands, SetsAndSwitchesTheTraceFile) {
  start_with(TraceFile());

  EXPECT_TRUE(run(context, set_trace_file(*client, "/run/t")));
  EXPECT_FALSE(run(context, trace_file_status(*client))->on);
  EXPECT_TRUE(run(context, switch_trace_file(*client, true)));
  EXPECT_TRUE(run(context, set_trace_file(*client, "/run/u")));
  const auto status = run(context, trace_file_status(*client));
  EXPECT_EQ(status->name, "/run/u");
  EXPECT_TRUE(status->on);
  EXPECT_TRUE(run(context, switch_trace_file(*client, false)));
  EXPECT_TRUE(run(context, flush_trace_file(*client)));
}

TEST_F(TraceCommands, NoticesThatTheTraceFileCannotBeOpened) {
  TraceFile file;
  file.can_open = false;
  start_with(file);

  EXPECT_TRUE(run(context, set_trace_file(*client, "/nope/t")));
  const auto done = run(context, switch_trace_file(*client, true));

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, errc::command_failed);
  EXPECT_EQ(done.error().detail,
            "trace-file on: QEMU cannot open \"/nope/t\": let QEMU's user write to it and enter "
            "its directories");
}

TEST_F(TraceCommands, NoticesThatAFileThatWasOnWentOff) {
  TraceFile file;
  file.on = true;
  file.can_open = false;
  start_with(file);

  const auto done = run(context, set_trace_file(*client, "/nope/t"));

  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().detail, StartsWith("trace file /nope/t: QEMU cannot open \"/nope/t\""));
}

TEST_F(TraceCommands, NoticesThatTheTraceFileDidNotChange) {
  TraceFile file;
  file.on = true;
  file.deaf = true;
  start_with(file);

  EXPECT_THAT(run(context, set_trace_file(*client, "/t")).error().detail,
              HasSubstr("still names its trace file \"trace-42\""));
  EXPECT_THAT(run(context, switch_trace_file(*client, false)).error().detail,
              HasSubstr("keeps writing"));
}

TEST_F(TraceCommands, TraceFileNeedsTheSimpleBackend) {
  start_with([](const std::string&) { return json("unknown command: 'trace-file'\r\n"); });

  EXPECT_EQ(run(context, trace_file_status(*client)).error().code, errc::command_failed);
  EXPECT_THAT(run(context, flush_trace_file(*client)).error().detail,
              HasSubstr("unknown command: 'trace-file'"));
  EXPECT_EQ(run(context, switch_trace_file(*client, true)).error().code, errc::command_failed);
}

TEST_F(TraceCommands, DirectsTheLogAndTakesAnyTextForFailure) {
  std::string said;
  start_with([&said](const std::string& line) {
    said = line;
    return json(line.find("nope") == line.npos
                    ? ""
                    : "Error opening logfile /nope: No such file or directory\r\n");
  });

  EXPECT_TRUE(run(context, set_logfile(*client, "/run/a \"b\"")));
  EXPECT_EQ(said, "logfile \"/run/a \\\"b\\\"\"");
  const auto failed = run(context, set_logfile(*client, "/nope"));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, errc::command_failed);
  EXPECT_EQ(failed.error().detail,
            "logfile /nope: Error opening logfile /nope: No such file or directory");
}

TEST_F(TraceCommands, RefusesLogfilesThatQemuWouldMisread) {
  start_with([](const std::string&) -> json { throw std::runtime_error("must not be asked"); });

  for (const auto* path : {"", "/run/%d", "/run/100%", "/run/a\nb"}) {
    EXPECT_EQ(run(context, set_logfile(*client, path)).error().code, errc::invalid_argument);
  }
}

TEST_F(TraceCommands, AddsAndRemovesADescriptor) {
  start_with(nullptr, {{"fdset-id", 2}, {"fd", 16}});

  const auto added = run(context, add_descriptor(*client, 0));
  ASSERT_TRUE(added) << added.error().detail;
  EXPECT_EQ(added->fdset_id, 2);
  EXPECT_EQ(added->fd, 16);
  EXPECT_TRUE(run(context, remove_descriptors(*client, 2)));
  EXPECT_EQ(asked, "remove-fd {\"fdset-id\":2}");
}

TEST_F(TraceCommands, RefusesAnOddDescriptor) {
  for (const auto* answer :
       {"{}", "[]", R"({"fdset-id": 1, "fd": -1})", R"({"fdset-id": 1, "fd": 4294967296})",
        R"({"fdset-id": "1", "fd": 5})"}) {
    start_with(nullptr, json::parse(answer));

    EXPECT_EQ(run(context, add_descriptor(*client, 0)).error().code, errc::protocol) << answer;
    client.reset();
  }
}

TEST_F(TraceCommands, DetectsBackendsByAsking) {
  start_with([](const std::string& line) {
    return json(line == "log help" ? "Log items:\r\ntrace:PATTERN   enable trace events\r\n"
                                   : "trace-file on|off|flush|set [arg] -- open, close ...\r\n");
  });

  const auto found = run(context, detect_backends(*client));

  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_TRUE(found->simple);
  EXPECT_TRUE(found->log);
  EXPECT_EQ(found->how,
            "HMP \"help trace-file\" knows the command, \"log help\" offers trace:PATTERN");
}

TEST_F(TraceCommands, DetectsThatThereIsNoBackend) {
  start_with([](const std::string& line) {
    return json(line == "log help" ? "Log items:\r\nint\r\n" : "unknown command: 'trace-file'\r\n");
  });

  const auto found = run(context, detect_backends(*client));

  ASSERT_TRUE(found);
  EXPECT_FALSE(found->simple || found->log);
}

TEST_F(TraceCommands, DetectsAQemuWithoutHumanMonitor) {
  start_with(nullptr);

  const auto found = run(context, detect_backends(*client));

  ASSERT_TRUE(found);
  EXPECT_FALSE(found->simple || found->log);
  EXPECT_EQ(found->how, "this QEMU has no human monitor commands to ask");
}

}  // namespace
}  // namespace qemon::qmp::test
