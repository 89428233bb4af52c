#include "qmp/hmp_translation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qmp/error.hpp"

namespace qemon::qmp {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::string meaning(std::string_view command, const std::vector<std::string>& texts,
                    const json& arguments = nullptr) {
  const auto result = translate_hmp(command, arguments, texts);
  if (result) return result->dump();
  EXPECT_TRUE(is_refusal(result.error())) << result.error().code;
  return "refused: " + result.error().detail;
}

const json event_x = {{"name", "x"}};
const json event_x_on = {{"name", "x"}, {"enable", true}};
const json event_x_off = {{"name", "x"}, {"enable", false}};

TEST(HmpTranslation, KnowsTheLinesOfEachCommand) {
  const auto lines = [](std::string_view command, const json& arguments) {
    return *hmp_lines_for(command, arguments);
  };

  EXPECT_THAT(lines("query-status", nullptr), ElementsAre("info status"));
  EXPECT_THAT(lines("human-monitor-command", {{"command-line", "log help"}}),
              ElementsAre("log help"));
  EXPECT_THAT(lines("trace-event-get-state", {{"name", "*"}}), ElementsAre("info trace-events"));
  EXPECT_THAT(lines("trace-event-get-state", {{"name", "a \"b\"\\"}}),
              ElementsAre(R"(info trace-events "a \"b\"\\")"));
  EXPECT_THAT(lines("trace-event-set-state", event_x_off),
              ElementsAre(R"(trace-event "x" off)", R"(info trace-events "x")"));
  EXPECT_THAT(lines("qom-get", {{"path", "/machine"}, {"property", "type"}}),
              ElementsAre(R"(qom-get "/machine" "type")"));
}

TEST(HmpTranslation, WantsItsArguments) {
  for (const char* command :
       {"human-monitor-command", "qom-get", "trace-event-get-state", "trace-event-set-state"}) {
    for (const json& arguments : {json(), json::object(), json{{"name", 5}}, event_x}) {
      if (command == std::string("trace-event-get-state") && arguments == event_x) continue;
      const auto lines = hmp_lines_for(command, arguments);
      ASSERT_FALSE(lines) << command << arguments;
      EXPECT_EQ(lines.error().code, errc::invalid_argument);
    }
  }
  EXPECT_EQ(hmp_lines_for("query-block", nullptr).error().code, errc::command_not_found);
}

TEST(HmpTranslation, ListsWhatItAnswers) {
  const auto list = json::parse(meaning("query-commands", {""}));

  ASSERT_GT(list.size(), 10U);
  for (const auto& entry : list) {
    const auto lines = hmp_lines_for(entry.at("name").get<std::string>(), json::object());
    EXPECT_TRUE(lines || lines.error().code == errc::invalid_argument) << entry;
  }
}

TEST(HmpTranslation, ReadsVersions) {
  EXPECT_EQ(meaning("query-version", {"10.0.2Debian 1:10.0.2+ds-2+deb13u1~bpo12+1\r\n"}),
            R"({"package":"Debian 1:10.0.2+ds-2+deb13u1~bpo12+1",)"
            R"("qemu":{"major":10,"micro":2,"minor":0}})");
  EXPECT_EQ(meaning("query-version", {"7.2.22\r\n"}),
            R"({"package":"","qemu":{"major":7,"micro":22,"minor":2}})");
  for (const char* text : {"", "7", "7.2", "7.2.", "seven", "99999999999.1.1"}) {
    EXPECT_THAT(meaning("query-version", {text}), HasSubstr("refused: unexpected answer"));
  }
}

TEST(HmpTranslation, ReadsNames) {
  EXPECT_EQ(meaning("query-name", {"web (qemu) 1\r\n"}), R"({"name":"web (qemu) 1"})");
  EXPECT_EQ(meaning("query-name", {""}), "{}");
  EXPECT_EQ(meaning("query-name", {"\xff\r\n"}), "{\"name\":\"\xef\xbf\xbd\"}");
  EXPECT_EQ(meaning("query-uuid", {"12345678-1234-1234-1234-123456789abc\r\n"}),
            R"({"UUID":"12345678-1234-1234-1234-123456789abc"})");
  EXPECT_THAT(meaning("query-uuid", {"none\r\n"}), HasSubstr("refused: "));
}

TEST(HmpTranslation, ReadsRunStates) {
  EXPECT_EQ(meaning("query-status", {"VM status: running\r\n"}),
            R"({"running":true,"status":"running"})");
  EXPECT_EQ(meaning("query-status", {"VM status: paused\r\n"}),
            R"({"running":false,"status":"paused"})");
  EXPECT_EQ(meaning("query-status", {"VM status: paused (postmigrate)\r\n"}),
            R"({"running":false,"status":"postmigrate"})");
  EXPECT_EQ(meaning("query-status", {"VM status: running (single step mode)\r\n"}),
            R"({"running":true,"status":"running"})");
  EXPECT_EQ(meaning("query-status", {"VM status: paused (single step mode) (prelaunch)\r\n"}),
            R"({"running":false,"status":"prelaunch"})");
  for (const char* text : {"", "VM status: ", "VM status: asleep", "running"}) {
    EXPECT_THAT(meaning("query-status", {text}), HasSubstr("refused: unexpected answer"));
  }
}

TEST(HmpTranslation, ReadsThreads) {
  EXPECT_EQ(meaning("query-cpus-fast",
                    {"* CPU #0: thread_id=28048\r\n  CPU #1: (halted) thread_id=28049\r\n"}),
            R"([{"cpu-index":0,"thread-id":28048},{"cpu-index":1,"thread-id":28049}])");
  EXPECT_EQ(meaning("query-cpus-fast", {""}), "[]");
  EXPECT_THAT(meaning("query-cpus-fast", {"CPU #0: thread_id=x"}), HasSubstr("refused: "));
  EXPECT_EQ(meaning("query-iothreads",
                    {"io0:\r\n  thread_id=29668\r\n  poll-max-ns=32768\r\n  poll-grow=0\r\n"
                     "io1:\r\n  thread_id=29669\r\n"}),
            R"([{"id":"io0","thread-id":29668},{"id":"io1","thread-id":29669}])");
  EXPECT_EQ(meaning("query-iothreads", {""}), "[]");
  EXPECT_THAT(meaning("query-iothreads", {"what"}), HasSubstr("refused: "));
}

TEST(HmpTranslation, ReadsKvm) {
  EXPECT_EQ(meaning("query-kvm", {"kvm support: enabled\r\n"}),
            R"({"enabled":true,"present":true})");
  EXPECT_EQ(meaning("query-kvm", {"kvm support: not compiled\r\n"}),
            R"({"enabled":false,"present":false})");
  EXPECT_THAT(meaning("query-kvm", {"kvm support: perhaps\r\n"}), HasSubstr("refused: "));
}

TEST(HmpTranslation, ReadsPlainProperties) {
  EXPECT_EQ(meaning("qom-get", {"\"pc-i440fx-7.2-machine\"\r\n"}), "\"pc-i440fx-7.2-machine\"");
  EXPECT_EQ(meaning("qom-get", {"Error: Device '/nope' not found\r\n"}),
            "refused: Error: Device '/nope' not found");
  EXPECT_THAT(meaning("qom-get", {std::string(100000, '[')}), HasSubstr("only plain values"));
}

TEST(HmpTranslation, ReadsEventStates) {
  EXPECT_EQ(meaning("trace-event-get-state", {"a : state 1\r\nb : state 0\r\n"}, {{"name", "*"}}),
            R"([{"name":"a","state":"enabled"},{"name":"b","state":"disabled"}])");
  EXPECT_EQ(meaning("trace-event-get-state", {""}, {{"name", "nope*"}}), "[]");
  EXPECT_EQ(meaning("trace-event-get-state", {"unknown event \"x\"\r\n"}, event_x),
            "refused: unknown event \"x\"");
}

TEST(HmpTranslation, ReadsBackWhatWasSwitched) {
  EXPECT_EQ(meaning("trace-event-set-state", {"", "x : state 1\r\n"}, event_x_on), "{}");
  EXPECT_EQ(meaning("trace-event-set-state", {"", "x : state 0\r\n"}, event_x_off), "{}");
  EXPECT_EQ(meaning("trace-event-set-state", {"", "x : state 0\r\n"}, event_x_on),
            "refused: event \"x\" stays off: it is compiled out");
  EXPECT_EQ(meaning("trace-event-set-state", {"", "x : state 1\r\n"}, event_x_off),
            "refused: event \"x\" stays on");
  EXPECT_EQ(meaning("trace-event-set-state", {"unknown event \"x\"\r\n", "unknown event \"x\"\r\n"},
                    event_x_on),
            "refused: unknown event \"x\"");
}

TEST(HmpTranslation, PassesHumanTextsOnAsTheyAre) {
  EXPECT_EQ(meaning("human-monitor-command", {"unknown command: 'x'\r\n"}),
            R"("unknown command: 'x'\r\n")");
}

TEST(HmpTranslation, SaysWhatAnOldMonitorDoesNotKnow) {
  const std::vector<std::string> texts{"unknown command: 'qom-get'\r\n"};

  const auto result = translate_hmp("qom-get", nullptr, texts);

  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, errc::command_not_found);
  EXPECT_EQ(result.error().detail, "human monitor: unknown command: 'qom-get'");
}

TEST(HmpTranslation, ARefusalSaysSomethingWhenNothingWasPrinted) {
  const json arguments{{"path", "/machine"}, {"property", "type"}};
  const std::vector<std::string> nothing{""};

  const auto meaning = translate_hmp("qom-get", arguments, nothing);

  ASSERT_FALSE(meaning);
  EXPECT_EQ(meaning.error().detail, "unexpected answer of the human monitor \"\"");
}

}  // namespace
}  // namespace qemon::qmp
