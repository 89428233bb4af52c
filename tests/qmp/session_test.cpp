#include "qmp/session.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qmp/error.hpp"

namespace qemon::qmp {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr std::string_view greeting_line =
    R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}})"
    "\r\n";
constexpr std::string_view negotiated = "{\"return\": {}, \"id\": \"qemon-1\"}\r\n";

// What came in, as text: "ready", "reply 2 {...}", "error 3 desc", "event NAME".
std::vector<std::string> drain(Session& session) {
  std::vector<std::string> seen;
  while (const auto incoming = session.next()) {
    if (std::holds_alternative<Ready>(*incoming)) {
      seen.emplace_back("ready");
    } else if (const auto* reply = std::get_if<Reply>(&*incoming)) {
      const std::string id = std::to_string(reply->id);
      seen.push_back(reply->result ? "reply " + id + " " + reply->result->dump()
                                   : "error " + id + " " + reply->result.error().detail);
    } else {
      seen.push_back("event " + std::get<EventMessage>(*incoming).name);
    }
  }
  return seen;
}

std::vector<CommandId> sent(Session& session) {
  std::vector<CommandId> ids;
  while (const auto output = session.next_output()) ids.push_back(output->id);
  return ids;
}

struct ReadySession : Session {
  explicit ReadySession(SessionLimits limits = {}) : Session(limits) {
    receive(greeting_line);
    drain(*this);
    next_output();
    receive(negotiated);
    drain(*this);
  }

  CommandId submit_one(UniqueFd descriptor = {}) {
    const auto id = submit("query-status", json(), std::move(descriptor));
    return id ? *id : 0;
  }

  std::vector<std::string> answer(CommandId id) {
    receive("{\"return\": {}, \"id\": \"qemon-" + std::to_string(id) + "\"}\r\n");
    return drain(*this);
  }
};

std::vector<std::string> receive_in_pieces(Session& session, std::string_view bytes,
                                           std::size_t piece) {
  std::vector<std::string> seen;
  while (!bytes.empty()) {
    session.receive(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (auto& one : drain(session)) seen.push_back(std::move(one));
  }
  return seen;
}

TEST(Session, ShakesHandsAndCarriesACommandAtEverySplit) {
  const std::string answers =
      "{\"event\": \"STOP\"}\r\n{\"id\": \"qemon-2\", \"return\": 5}\n{\"event\": \"RESUME\"}\n";
  for (std::size_t piece = 1; piece <= greeting_line.size(); ++piece) {
    Session session;

    EXPECT_TRUE(receive_in_pieces(session, greeting_line, piece).empty());
    auto output = session.next_output();
    ASSERT_TRUE(output);
    EXPECT_EQ(output->bytes, "{\"execute\":\"qmp_capabilities\",\"id\":\"qemon-1\"}\n");
    EXPECT_EQ(receive_in_pieces(session, negotiated, piece), std::vector<std::string>{"ready"});
    ASSERT_TRUE(session.submit("query-status", json()));
    output = session.next_output();
    ASSERT_TRUE(output);
    EXPECT_EQ(output->bytes, "{\"execute\":\"query-status\",\"id\":\"qemon-2\"}\n");
    EXPECT_EQ(receive_in_pieces(session, answers, piece),
              (std::vector<std::string>{"event STOP", "reply 2 5", "event RESUME"}));
  }
}

TEST(Session, SaysWhoGreeted) {
  ReadySession session;

  EXPECT_TRUE(session.ready());
  EXPECT_EQ(session.greeting().version, (Version{7, 2, 22}));
}

TEST(Session, HoldsCommandsBackUntilTheHandshakeIsOver) {
  Session session;
  const auto early = session.submit("query-status", json());
  ASSERT_TRUE(early);

  EXPECT_TRUE(sent(session).empty());
  session.receive(greeting_line);
  drain(session);
  EXPECT_EQ(sent(session), std::vector<CommandId>{2});
  session.receive("{\"return\": {}, \"id\": \"qemon-2\"}\n");
  EXPECT_EQ(drain(session), std::vector<std::string>{"ready"});
  EXPECT_EQ(sent(session), std::vector<CommandId>{*early});
}

TEST(Session, RoutesRepliesInAnyOrder) {
  ReadySession session;
  const auto a = session.submit_one();
  const auto b = session.submit_one();
  const auto c = session.submit_one();
  sent(session);

  EXPECT_EQ(session.answer(c), std::vector<std::string>{"reply " + std::to_string(c) + " {}"});
  EXPECT_EQ(session.answer(a), std::vector<std::string>{"reply " + std::to_string(a) + " {}"});
  EXPECT_EQ(session.answer(b), std::vector<std::string>{"reply " + std::to_string(b) + " {}"});
  EXPECT_EQ(session.on_wire(), 0U);
}

TEST(Session, KeepsAtMostEightCommandsOnTheWire) {
  ReadySession session;
  for (int i = 0; i < 20; ++i) session.submit_one();

  EXPECT_EQ(sent(session).size(), 8U);
  EXPECT_EQ(session.queued(), 12U);
  session.answer(2);
  session.answer(5);
  EXPECT_EQ(sent(session), (std::vector<CommandId>{10, 11}));
  EXPECT_EQ(session.on_wire(), 8U);
}

TEST(Session, LimitsTheQueue) {
  SessionLimits limits;
  limits.queued_max = 3;
  ReadySession session(limits);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(session.submit("query-status", json()));

  const auto refused = session.submit("query-status", json());

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::queue_full);
  EXPECT_THAT(refused.error().detail, HasSubstr("3 commands wait already"));
  EXPECT_FALSE(session.ended());
}

TEST(Session, LimitsTheBytesInTheQueue) {
  SessionLimits limits;
  limits.queued_bytes_max = 1000;
  ReadySession session(limits);
  json arguments = {{"name", std::string(800, 'x')}};

  EXPECT_TRUE(session.submit("a", arguments));
  EXPECT_EQ(session.submit("a", arguments).error().code, errc::queue_full);
  sent(session);
  EXPECT_TRUE(session.submit("a", arguments));
}

TEST(Session, DropsAndCountsRepliesNobodyAskedFor) {
  ReadySession session;
  const auto id = session.submit_one();
  sent(session);

  session.receive(
      "{\"return\": {}, \"id\": \"qemon-99\"}\n{\"return\": {}, \"id\": 2}\n{\"return\": {}}\n"
      "{\"return\": {}, \"id\": \"qemon-2x\"}\n{\"return\": {}, \"id\": \"qemon-\"}\n"
      "{\"return\": {}, \"id\": \"qemon-99999999999999999999999\"}\n"
      "{\"error\": {\"class\": \"GenericError\", \"desc\": \"\"}, \"id\": \"libvirt-1\"}\n");

  EXPECT_TRUE(drain(session).empty());
  EXPECT_EQ(session.counts().unknown_ids, 7U);
  EXPECT_EQ(session.answer(id).size(), 1U);
  EXPECT_TRUE(session.answer(id).empty());
  EXPECT_EQ(session.counts().unknown_ids, 8U);
}

TEST(Session, DoesNotTakeAReplyToWhatIsNotSentYet) {
  ReadySession session;
  const auto id = session.submit_one();

  EXPECT_TRUE(session.answer(id).empty());
  EXPECT_EQ(session.counts().unknown_ids, 1U);
  EXPECT_EQ(sent(session), std::vector<CommandId>{id});
}

TEST(Session, EndsWhenTheServerCannotParseUs) {
  ReadySession session;
  session.submit_one();

  session.receive(
      "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n{\"event\": "
      "\"STOP\"}\r\n");

  EXPECT_TRUE(drain(session).empty());
  ASSERT_TRUE(session.ended());
  EXPECT_EQ(session.end_reason().code, errc::protocol);
  EXPECT_EQ(session.end_reason().detail,
            "the monitor could not parse what we sent: JSON parse error");
  EXPECT_FALSE(session.next_output());
}

TEST(Session, GivesQemusErrorsToTheirCommand) {
  ReadySession session;
  const auto id = std::to_string(session.submit_one());
  sent(session);

  session.receive("{\"id\": \"qemon-" + id +
                  "\", \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no\\nsuch\"}}\r\n");
  const auto incoming = session.next();

  ASSERT_TRUE(incoming && std::holds_alternative<Reply>(*incoming));
  const auto error = std::get<Reply>(*incoming).result.error();
  EXPECT_EQ(error.code, errc::command_not_found);
  EXPECT_EQ(error.detail, "no such");
}

TEST(Session, KnowsTheErrorClasses) {
  EXPECT_EQ(errc_of_class("GenericError"), errc::command_failed);
  EXPECT_EQ(errc_of_class("DeviceNotActive"), errc::device_not_active);
  EXPECT_EQ(errc_of_class("DeviceNotFound"), errc::device_not_found);
  EXPECT_EQ(errc_of_class("KVMMissingCap"), errc::kvm_missing_capability);
  EXPECT_EQ(errc_of_class("SomethingNew"), errc::command_failed);
  EXPECT_TRUE(is_refusal(make_error(errc::device_not_active, "")));
  EXPECT_FALSE(is_refusal(make_error(errc::timed_out, "")));
}

TEST(Session, AnAbandonedCommandKeepsItsPlaceUntilItsLateReplyIsDropped) {
  SessionLimits limits;
  limits.on_wire_max = 1;
  ReadySession session(limits);
  const auto slow = session.submit_one();
  const auto next = session.submit_one();
  sent(session);

  session.abandon(slow);
  EXPECT_TRUE(sent(session).empty());
  EXPECT_TRUE(session.answer(slow).empty());
  EXPECT_EQ(session.counts().late_replies, 1U);
  EXPECT_EQ(session.counts().unknown_ids, 0U);
  EXPECT_EQ(sent(session), std::vector<CommandId>{next});
}

TEST(Session, AnAbandonedCommandThatWaitsIsNeverSent) {
  SessionLimits limits;
  limits.on_wire_max = 1;
  ReadySession session(limits);
  const auto first = session.submit_one();
  const auto withdrawn = session.submit_one();
  const auto last = session.submit_one();
  sent(session);

  session.abandon(withdrawn);
  session.answer(first);

  EXPECT_EQ(sent(session), std::vector<CommandId>{last});
}

TEST(Session, SendsOneDescriptorAtATimeAndKeepsTheOrder) {
  ReadySession session;
  const auto open_null = [] { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); };
  const auto first = session.submit_one(open_null());
  const auto plain = session.submit_one();
  const auto second = session.submit_one(open_null());
  const auto behind = session.submit_one();

  const auto output = session.next_output();
  ASSERT_TRUE(output);
  EXPECT_EQ(output->id, first);
  EXPECT_TRUE(output->descriptor);
  EXPECT_EQ(sent(session), std::vector<CommandId>{plain});
  session.answer(first);
  EXPECT_EQ(sent(session), (std::vector<CommandId>{second, behind}));
}

TEST(Session, RefusesArgumentsThatAreNotUtf8) {
  ReadySession session;
  const auto refused = session.submit("a", json{{"name", "\xff"}});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, errc::invalid_argument);
  EXPECT_FALSE(session.ended());
}

TEST(Session, EndsOnNonsense) {
  struct Case {
    std::string bytes;
    std::string reason;
    errc code = errc::protocol;
  };
  const std::string deep =
      "{\"return\": " + std::string(100'000, '[') + std::string(100'000, ']') + "}\n";
  for (const Case& one :
       {Case{"garbage\n", "it sent \"garbage\""}, Case{"{\"a\": nope}\n", "not JSON"},
        Case{deep, "nested more than 256 levels"},
        Case{std::string(greeting_line), "a second time"},
        Case{"{\"return\": \"" + std::string(3U << 20, 'x'), "2097152 bytes",
             errc::line_too_long}}) {
    ReadySession session;

    session.receive(one.bytes);

    EXPECT_TRUE(drain(session).empty());
    ASSERT_TRUE(session.ended());
    EXPECT_THAT(session.end_reason().detail, HasSubstr(one.reason));
    EXPECT_EQ(session.end_reason().code, one.code);
  }
}

TEST(Session, EndsOnAWrongStart) {
  for (const std::string& bytes :
       {std::string(negotiated), std::string("{\"event\": \"STOP\"}\n"), std::string("{}\n")}) {
    Session session;

    session.receive(bytes);

    EXPECT_TRUE(drain(session).empty());
    ASSERT_TRUE(session.ended()) << bytes;
    EXPECT_EQ(session.end_reason().code, errc::protocol);
  }
}

TEST(Session, EndsWhenNegotiationIsRefused) {
  Session session;
  session.receive(greeting_line);
  drain(session);
  sent(session);

  session.receive(
      "{\"id\": \"qemon-1\", \"error\": {\"class\": \"GenericError\", \"desc\": \"why?\"}}\n");
  drain(session);

  ASSERT_TRUE(session.ended());
  EXPECT_EQ(session.end_reason().detail, "the monitor refused qmp_capabilities: why?");
}

TEST(Session, TakesALongReply) {
  ReadySession session;
  const auto id = session.submit_one();
  sent(session);
  const std::string text(1U << 20, 'x');

  session.receive("{\"id\": \"qemon-" + std::to_string(id) + "\", \"return\": \"" + text +
                  "\"}\r\n");
  const auto incoming = session.next();

  ASSERT_TRUE(incoming && std::holds_alternative<Reply>(*incoming));
  EXPECT_EQ(std::get<Reply>(*incoming).result->get_ref<const std::string&>().size(), text.size());
}

TEST(Session, AfterItsEndNothingMoves) {
  ReadySession session;
  session.submit_one();
  session.end(make_error(errc::closed, "first"));
  session.end(make_error(errc::closed, "second"));

  session.receive(greeting_line);
  EXPECT_FALSE(session.next());
  EXPECT_FALSE(session.next_output());
  EXPECT_FALSE(session.ready());
  EXPECT_EQ(session.submit("x", json()).error().detail, "first");
}

}  // namespace
}  // namespace qemon::qmp
