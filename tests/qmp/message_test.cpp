#include "qmp/message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qmp/error.hpp"

namespace qemon::qmp {
namespace {

using testing::HasSubstr;

// As Debian's QEMU 7.2 sends it.
constexpr std::string_view greeting_line =
    R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, )"
    R"("package": "Debian 1:7.2+dfsg-7+deb12u18+b3"}, "capabilities": ["oob"]}})";

template <typename T>
T parsed(std::string_view text) {
  auto message = parse_message(text);
  if (!message) throw std::runtime_error(message.error().detail);
  return std::get<T>(std::move(*message));
}

TEST(Message, ReadsAGreeting) {
  const auto greeting = parsed<Greeting>(greeting_line);

  EXPECT_EQ(greeting.version, (Version{7, 2, 22}));
  EXPECT_LT(greeting.version, (Version{8, 0, 0}));
  EXPECT_EQ(greeting.package, "Debian 1:7.2+dfsg-7+deb12u18+b3");
  EXPECT_TRUE(greeting.oob);
}

TEST(Message, ReadsAGreetingWithoutExtras) {
  const auto greeting =
      parsed<Greeting>(R"({"QMP": {"version": {"qemu": {"major": 11, "minor": 0, "micro": 3}}}})");

  EXPECT_EQ(greeting.version, (Version{11, 0, 3}));
  EXPECT_EQ(greeting.package, "");
  EXPECT_FALSE(greeting.oob);
}

TEST(Message, ReadsAReturnAndItsId) {
  EXPECT_EQ(parsed<ReturnMessage>(R"({"return": {"a": 1}, "id": "x-1"})").id, "x-1");
  EXPECT_EQ(parsed<ReturnMessage>(R"({"id": 7, "return": {}})").id, "7");
  EXPECT_EQ(parsed<ReturnMessage>(R"({"id": null, "return": {}})").id, "null");
  EXPECT_EQ(parsed<ReturnMessage>(R"({"return": [true]})").id, std::nullopt);
  EXPECT_EQ(parsed<ReturnMessage>(R"({"return": [true]})").value, nlohmann::json::parse("[true]"));
}

TEST(Message, ReadsAnError) {
  const auto error = parsed<ErrorMessage>(
      R"({"id": "a", "error": {"class": "GenericError", "desc": "unknown event \"x\""}})");

  EXPECT_EQ(error.id, "a");
  EXPECT_EQ(error.error_class, "GenericError");
  EXPECT_EQ(error.desc, "unknown event \"x\"");
}

TEST(Message, ReadsAnEvent) {
  const auto event = parsed<EventMessage>(
      R"({"timestamp": {"seconds": 1795377070, "microseconds": 851320}, "event": "RESET", "data": {"guest": true}})");

  EXPECT_EQ(event.name, "RESET");
  EXPECT_EQ(event.data["guest"], true);
  EXPECT_EQ(event.time.time_since_epoch(), std::chrono::microseconds(1795377070851320));
}

TEST(Message, ReadsAnEventWithoutDataOrTime) {
  for (const auto* text :
       {R"({"event": "STOP"})",
        R"({"event": "STOP", "timestamp": {"seconds": -1, "microseconds": -1}})",
        R"({"event": "STOP", "timestamp": {"seconds": 1e300}})",
        R"({"event": "STOP", "timestamp": 5})",
        R"({"event": "STOP", "timestamp": {"seconds": 9223372036854775807, "microseconds": 5}})"}) {
    const auto event = parsed<EventMessage>(text);

    EXPECT_TRUE(event.data.is_object());
    EXPECT_EQ(event.time.time_since_epoch().count(), 0) << text;
  }
}

TEST(Message, RefusesEverythingElse) {
  for (
      const auto* text :
      {"", "{", "{}", "[]", "null", "{\"a\": tru}", R"({"QMP": 1})", R"({"QMP": {}})",
       R"({"QMP": {"version": {}}})",
       R"({"QMP": {"version": {"qemu": {"major": "7", "minor": 2, "micro": 0}}}})",
       R"({"QMP": {"version": {"qemu": {"major": -7, "minor": 2, "micro": 0}}}})",
       R"({"QMP": {"version": {"qemu": {"major": 18446744073709551615, "minor": 2, "micro": 0}}}})",
       R"({"error": "x"})", R"({"event": 5})", R"({"event": "X", "data": []})",
       "{\"return\": \"\xff\"}"}) {
    const auto message = parse_message(text);

    ASSERT_FALSE(message) << text;
    EXPECT_EQ(message.error().code, errc::protocol);
    EXPECT_THAT(message.error().detail, HasSubstr("the monitor sent "));
  }
}

TEST(Message, EveryCutGreetingIsRefused) {
  for (std::size_t size = 0; size < greeting_line.size(); ++size) {
    EXPECT_FALSE(parse_message(greeting_line.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace qemon::qmp
