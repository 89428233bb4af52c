#include "qmp/hmp_session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "qmp/error.hpp"
#include "tests/qmp/hmp_terminal.hpp"

namespace qemon::qmp::test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view version_text = "7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3\r\n";

// As QEMU 7.2.22 and 10.0.2 write it.
constexpr std::string_view recorded_info_kvm =
    "i\x1b[K\x1b[Din\x1b[K\x1b[D\x1b[Dinf\x1b[K\x1b[D\x1b[D\x1b[Dinfo\x1b[K\x1b[D\x1b[D\x1b[D\x1b[D"
    "info \x1b[K\x1b[D\x1b[D\x1b[D\x1b[D\x1b[Dinfo k\x1b[K\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D"
    "info kv\x1b[K\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\x1b[Dinfo kvm\x1b[K\r\n"
    "kvm support: disabled\r\n(qemu) b\x1b[K\x1b[D\x1b[K";

std::vector<std::string> drain(HmpSession& session) {
  std::vector<std::string> seen;
  while (const auto incoming = session.next()) {
    if (const auto* reply = std::get_if<Reply>(&*incoming)) {
      seen.push_back(reply->result ? reply->result->dump() : reply->result.error().detail);
    } else {
      seen.emplace_back(std::holds_alternative<Ready>(*incoming) ? "ready" : "event");
    }
  }
  return seen;
}

std::string sent(HmpSession& session) {
  const auto output = session.next_output();
  return output ? output->bytes : "nothing";
}

struct ReadySession : HmpSession {
  explicit ReadySession(HmpSessionLimits limits = {}) : HmpSession(limits) {
    receive(hmp_greeting);
    drain(*this);
    receive(hmp_reply(sent(*this), version_text));
    drain(*this);
  }

  CommandId submit_line(const std::string& line) {
    const auto id = submit("human-monitor-command", {{"command-line", line}});
    return id ? *id : 0;
  }
};

std::string end_of(std::string_view bytes) {
  HmpSession session;
  session.receive(bytes);
  EXPECT_TRUE(drain(session).empty());
  if (!session.ended()) return "not ended";
  EXPECT_EQ(session.end_reason().code, errc::protocol);
  EXPECT_EQ(session.end_reason().detail.find('\n'), std::string::npos);
  return session.end_reason().detail;
}

TEST(HmpSession, ShakesHandsAndCarriesACommandAtEverySplit) {
  for (std::size_t piece = 1; piece <= recorded_info_kvm.size(); ++piece) {
    HmpSession session;
    std::vector<std::string> seen;
    const auto feed = [&](std::string_view bytes) {
      while (!bytes.empty()) {
        session.receive(bytes.substr(0, piece));
        bytes.remove_prefix(std::min(piece, bytes.size()));
        for (auto& one : drain(session)) seen.push_back(std::move(one));
      }
    };

    feed(hmp_greeting);
    const std::string typed = sent(session);
    feed(hmp_reply(typed, version_text));
    ASSERT_TRUE(session.submit("query-kvm", json()));
    const std::string second = sent(session);
    feed(recorded_info_kvm);

    ASSERT_EQ(typed, "info version\ra\x7f");
    ASSERT_EQ(second, "info kvm\rb\x7f");
    ASSERT_THAT(seen, ElementsAre("ready", R"({"enabled":false,"present":true})")) << piece;
    ASSERT_EQ(session.greeting().version, (Version{7, 2, 22}));
    ASSERT_EQ(session.greeting().package, "Debian 1:7.2+dfsg-7+deb12u18+b3");
  }
}

TEST(HmpSession, TakesEverythingUpToThePromptThatEchoesTheLetter) {
  for (const std::string text :
       {"", "\r\n", "without a line break", "(qemu) ", "\r\n(qemu) \r\n(qemu) ", "(qemu) b\r\n",
        "\xc3\xa4 \"quoted\" \\ \033[31m\r\n", "a prompt \r\n(qemu) c\033[K\r\n"}) {
    ReadySession session;
    session.submit_line("info name");

    session.receive(hmp_reply(sent(session), text));

    EXPECT_THAT(drain(session), ElementsAre(json(text).dump()));
    EXPECT_FALSE(session.ended());
  }
}

TEST(HmpSession, TypesOneLineAtATime) {
  ReadySession session;
  session.submit_line("");
  session.submit("trace-event-set-state", {{"name", "x"}, {"enable", true}});
  session.submit_line("stop");

  const std::string first = sent(session);
  EXPECT_EQ(first, "\rb\x7f");
  EXPECT_EQ(sent(session), "nothing");
  session.receive(hmp_reply(first, ""));
  EXPECT_THAT(drain(session), ElementsAre("\"\""));
  const std::string second = sent(session);
  EXPECT_EQ(second, "trace-event \"x\" on\rc\x7f");
  session.receive(hmp_reply(second, ""));
  EXPECT_TRUE(drain(session).empty());
  const std::string third = sent(session);
  EXPECT_EQ(third, "info trace-events \"x\"\rd\x7f");
  session.receive(hmp_reply(third, "x : state 1\r\n"));
  EXPECT_THAT(drain(session), ElementsAre("{}"));
  EXPECT_EQ(sent(session), "stop\re\x7f");
}

TEST(HmpSession, PassesOverWhatComesUnasked) {
  ReadySession session;
  session.receive("something asynchronous\r\n(qemu) ");
  EXPECT_TRUE(drain(session).empty());
  session.submit_line("info kvm");
  sent(session);
  session.receive("more of it\r\n");
  drain(session);

  session.receive(recorded_info_kvm);

  EXPECT_THAT(drain(session), ElementsAre(R"("kvm support: disabled\r\n")"));
}

TEST(HmpSession, SaysWhatElseItIsConnectedTo) {
  EXPECT_EQ(end_of("{\"QMP\": {}}\r\n"), "this is a QMP monitor: write its address without hmp:");
  EXPECT_THAT(end_of("\xff\xfb\x01\xff\xfb\x03"), HasSubstr("this is a telnet monitor"));
  EXPECT_EQ(end_of("SSH-2.0-OpenSSH\r\n"),
            "this is not a human monitor of QEMU: it sent \"SSH-2.0-OpenSSH\"");
  EXPECT_THAT(end_of("QEMU is here\r\n"), HasSubstr("it sent \"QEMU is here\""));
  EXPECT_THAT(end_of("QEMU " + std::string(5000, 'x')), HasSubstr("it sent \"QEMU xxx"));
  EXPECT_THAT(end_of("QEMU 7.2.22 monitor - type 'help' for more information\r\nlogin: "),
              HasSubstr("showed \"login:\" and no prompt; one that shares its character device"));
}

TEST(HmpSession, EndsWhenTheVersionIsNotOne) {
  HmpSession session;
  session.receive(hmp_greeting);
  drain(session);

  session.receive(hmp_reply(sent(session), "many\r\n"));

  EXPECT_TRUE(drain(session).empty());
  ASSERT_TRUE(session.ended());
  EXPECT_THAT(session.end_reason().detail, HasSubstr("does not tell its version"));
}

TEST(HmpSession, EndsWhenTheEchoIsNotWhatWasTyped) {
  ReadySession session;
  session.submit_line("stop");
  const std::string typed = sent(session);

  session.receive(hmp_reply("stup\r" + typed.substr(5), ""));

  EXPECT_TRUE(drain(session).empty());
  ASSERT_TRUE(session.ended());
  EXPECT_THAT(session.end_reason().detail, HasSubstr("echo is not what was typed"));
}

TEST(HmpSession, EndsWhenThereIsGarbageInsteadOfAnEcho) {
  ReadySession session;
  session.submit_line("stop");
  sent(session);

  for (int i = 0; i < 100 && !session.ended(); ++i) {
    session.receive(std::string(1000, '#'));
    EXPECT_TRUE(drain(session).empty());
  }

  ASSERT_TRUE(session.ended());
  EXPECT_THAT(session.end_reason().detail, HasSubstr("does not echo what is typed"));
}

TEST(HmpSession, EndsWhenAnAnswerIsEndless) {
  HmpSessionLimits limits;
  limits.answer_bytes_max = 1000;
  ReadySession session(limits);
  session.submit_line("info qtree");
  sent(session);
  session.receive(hmp_echo("info qtree"));

  session.receive(std::string(1001, '#'));

  EXPECT_TRUE(drain(session).empty());
  ASSERT_TRUE(session.ended());
  EXPECT_EQ(session.end_reason().code, errc::line_too_long);
  EXPECT_EQ(session.end_reason().detail, "the answer to \"info qtree\" has more than 1000 bytes");
}

TEST(HmpSession, DropsALateAnswerAndGoesOn) {
  ReadySession session;
  const auto slow = session.submit_line("slow");
  session.submit_line("quick");
  const std::string typed = sent(session);

  session.abandon(slow);
  const std::string probe = sent(session);
  EXPECT_EQ(probe, "c\x7f");
  session.receive(hmp_reply(typed, "late\r\n"));
  session.receive("c\033[K\033[D\033[K");
  EXPECT_TRUE(drain(session).empty());
  session.receive(hmp_reply(sent(session), "in time"));

  EXPECT_THAT(drain(session), ElementsAre("\"in time\""));
  EXPECT_EQ(session.counts().late_replies, 1U);
}

TEST(HmpSession, EndsWhenTheEndOfAnAbandonedAnswerWasLost) {
  ReadySession session;
  const auto id = session.submit_line("stop");
  sent(session);
  session.receive(hmp_echo("stop") + "(qemu) b\033[K and somebody else's text \033[D\033[K");
  EXPECT_TRUE(drain(session).empty());
  EXPECT_FALSE(session.ended());

  session.abandon(id);
  sent(session);
  session.receive("c\033[K\033[D\033[K");

  EXPECT_TRUE(drain(session).empty());
  ASSERT_TRUE(session.ended());
  EXPECT_THAT(session.end_reason().detail, HasSubstr("the end of an answer was lost"));
}

TEST(HmpSession, AnAnswerRightAfterGivingUpNeedsNoProbe) {
  ReadySession session;
  const auto id = session.submit_line("slow");
  const std::string typed = sent(session);

  session.abandon(id);
  session.receive(hmp_reply(typed, ""));

  EXPECT_TRUE(drain(session).empty());
  EXPECT_EQ(sent(session), "nothing");
}

TEST(HmpSession, NeverSendsWhatNobodyWaitsFor) {
  ReadySession session;
  const auto first = session.submit("trace-event-set-state", {{"name", "x"}, {"enable", true}});
  const auto second = session.submit_line("stop");
  const std::string typed = sent(session);

  session.abandon(second);
  session.receive(hmp_reply(typed, ""));
  EXPECT_TRUE(drain(session).empty());
  session.abandon(*first);

  EXPECT_EQ(sent(session), "nothing");
}

TEST(HmpSession, RefusesWhatCannotBeTyped) {
  ReadySession session;
  for (const std::string& line :
       {std::string("a\nb"), std::string("a\tb"), std::string("a\0b", 3), std::string("\x1b[A"),
        std::string("\x7f"), std::string("\xc4\x9b"), std::string(1025, 'x')}) {
    const auto id = session.submit("human-monitor-command", {{"command-line", line}});

    ASSERT_FALSE(id) << line;
    EXPECT_EQ(id.error().code, errc::invalid_argument);
  }
  EXPECT_TRUE(session.submit_line("logfile \"/\xc3\xa4\""));
  EXPECT_TRUE(session.submit_line(std::string(1024, 'x')));
}

TEST(HmpSession, RefusesDescriptorsAndUnknownCommands) {
  ReadySession session;

  const auto descriptor = session.submit("query-name", json(), UniqueFd(::dup(0)));
  const auto unknown = session.submit("query-block", json());

  ASSERT_FALSE(descriptor);
  EXPECT_TRUE(is_refusal(descriptor.error()));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, errc::command_not_found);
  EXPECT_TRUE(is_refusal(unknown.error()));
}

TEST(HmpSession, LimitsWhatWaits) {
  HmpSessionLimits limits;
  limits.queued_max = 2;
  ReadySession session(limits);

  EXPECT_TRUE(session.submit_line("a"));
  EXPECT_TRUE(session.submit_line("b"));
  const auto third = session.submit("query-name", json());

  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, errc::queue_full);
}

TEST(HmpSession, IsQuietOnceItHasEnded) {
  ReadySession session;
  session.submit_line("stop");
  session.end(make_error(errc::closed, "over"));

  session.receive("(qemu) ");

  EXPECT_TRUE(drain(session).empty());
  EXPECT_EQ(sent(session), "nothing");
  EXPECT_EQ(session.submit("query-name", json()).error().detail, "over");
}

}  // namespace
}  // namespace qemon::qmp::test
