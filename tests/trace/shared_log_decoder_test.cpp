// LogDecoder on logs that QEMU shares with other programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trace/log_reading.hpp"
#include "trace/log_decoder.hpp"

namespace qemon::trace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view catalog_text =
    "one(int a) \"a %d\"\n"
    "bare(void)\n"
    "porta(uint16_t a, uint16_t b, uint16_t c) \"a 0x%x\\nb 0x%x\\nc 0x%x\"\n";

constexpr std::uint32_t our_thread = 101, their_thread = 201, gone_thread = 301;

LogDecoderOptions shared(SharedLog log) {
  LogDecoderOptions options;
  options.shared = log;
  options.owner_of = [](std::uint32_t id) {
    if (id == gone_thread) return LineOwner::unknown;
    return id == our_thread ? LineOwner::us : LineOwner::others;
  };
  options.is_in_unit = [](std::string_view unit) { return unit == "web1.scope"; };
  return options;
}

/// What came out, in order: records as "NAME [PAYLOAD]", losses as "lost N".
class Decoding : public test::LogReading<LogDecoder> {
 public:
  explicit Decoding(SharedLog log)
      : LogReading(shared(log)), catalog(Catalog::parse(catalog_text).value()) {
    for (const auto& event : catalog.events()) events.add(event.name);
    events.use_catalog(&catalog);
  }

  void on_record(const Record& record) override {
    seen.push_back(events.name(record.event) + " [" + std::string(record.payload) + "]");
  }
  void on_loss(std::uint64_t count) override { seen.push_back("lost " + std::to_string(count)); }

  Catalog catalog;
  std::vector<std::string> seen;
};

struct Ftrace : Decoding {
  Ftrace() : Decoding(SharedLog::ftrace) {}
  void mark(std::uint32_t thread, const std::string& text) {
    feed("           <...>-" + std::to_string(thread) +
         "     [001] ...1. 56477.171424: tracing_mark_write: " + text + "\n");
  }
};

struct Syslog : Decoding {
  Syslog() : Decoding(SharedLog::syslog) {}
  void log(const std::string& rest) { feed("2026-11-26T06:08:26.540085+00:00 vm " + rest + "\n"); }
};

TEST(SharedLogDecoder, ReadsRecordsOfOurThreadsOnly) {
  Ftrace log;

  log.mark(our_thread, "one a 5");
  log.mark(their_thread, "one a 6");
  log.mark(our_thread, "bare ");

  EXPECT_THAT(log.seen, ElementsAre("one [a 5]", "bare []"));
  EXPECT_EQ(log.unknown(), 0u);
  EXPECT_EQ(log.decoder.stats().span.first_ns, 56477171424000);
}

TEST(SharedLogDecoder, CountsLinesOfOursThatAreNoTraceAndNotThoseOfOthers) {
  Ftrace log;

  log.mark(their_thread, "hello\nworld");
  log.mark(our_thread, "hello\nworld");
  log.mark(gone_thread, "hello");

  EXPECT_THAT(log.seen, IsEmpty());
  EXPECT_EQ(log.unknown(), 2u);
}

TEST(SharedLogDecoder, TakesARecordOfAThreadThatIsGoneForLost) {
  Ftrace log;

  log.mark(gone_thread, "one a 5");

  EXPECT_THAT(log.seen, ElementsAre("lost 1"));
  EXPECT_EQ(log.decoder.stats().dropped_events, 1u);
  EXPECT_EQ(log.decoder.stats().records, 0u);
}

TEST(SharedLogDecoder, AsksWhoseAThreadIsInEachTurn) {
  Ftrace log;
  std::string lines;
  for (int i = 0; i < 3; ++i) {
    lines += "           <...>-101     [001] ...1. 56477.171424: tracing_mark_write: bare \n";
  }
  int asked = 0;
  LogDecoderOptions options = shared(SharedLog::ftrace);
  options.owner_of = [&asked](std::uint32_t) {
    ++asked;
    return LineOwner::us;
  };
  LogDecoder decoder(log.events, options);

  decoder.decode(lines, log);
  decoder.decode(lines, log);

  EXPECT_EQ(asked, 2);
}

TEST(SharedLogDecoder, TellsLossesInTheirPlace) {
  Ftrace log;

  log.mark(our_thread, "one a 5");
  log.feed("CPU:0 [LOST 4711 EVENTS]\n");
  log.mark(our_thread, "one a 6");
  log.feed("CPU:1 [LOST EVENTS]\n");

  EXPECT_THAT(log.seen, ElementsAre("one [a 5]", "lost 4711", "one [a 6]", "lost 0"));
  EXPECT_EQ(log.decoder.stats().dropped_events, 4711u);
}

TEST(SharedLogDecoder, JoinsTheLinesOfARecord) {
  Ftrace log;

  log.mark(our_thread, "porta a 0x1\nb 0x2\nc 0x3");
  log.mark(our_thread, "porta a 0x1");
  log.mark(their_thread, "bare ");
  log.mark(our_thread, "porta a 0x1\nb 0x2");
  log.feed("CPU:1 [LOST 7 EVENTS]\n");

  EXPECT_THAT(log.seen, ElementsAre("porta [a 0x1\nb 0x2\nc 0x3]", "porta [a 0x1]",
                                    "porta [a 0x1\nb 0x2]", "lost 7"));
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(SharedLogDecoder, CountsAMarkerThatWasCutWithoutItsArguments) {
  Ftrace log;

  log.mark(our_thread, "one a 5" + std::string(504, '0'));

  EXPECT_THAT(log.seen, ElementsAre("one []"));
  EXPECT_EQ(log.overlong(), 1u);
}

TEST(SharedLogDecoder, WaitsForTheRestOfALine) {
  Ftrace log;

  log.feed("           <...>-101     [001] ...1. 56477.171424: tracing_mark_write: one a");
  EXPECT_THAT(log.seen, IsEmpty());
  log.feed(" 5\n");

  EXPECT_THAT(log.seen, ElementsAre("one [a 5]"));
}

TEST(SharedLogDecoder, ReadsSyslogOfOurProcessOnly) {
  Syslog log;

  log.log("qemu-system-x86_64[101]: one a 5");
  log.log("qemu-system-x86_64[201]: one a 6");
  log.log("kernel: one a 7");
  log.log("qemu-system-x86_64[101]: message repeated 2 times: [ one a 5]");

  EXPECT_THAT(log.seen, ElementsAre("one [a 5]", "one [a 5]", "one [a 5]"));
  EXPECT_EQ(log.decoder.stats().records, 3u);
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(SharedLogDecoder, TellsOurLossesAndThoseOfAnybody) {
  Syslog log;

  log.log("rsyslogd: imuxsock[pid: 101, name: qemu]: 5 messages lost due to rate-limiting");
  log.log("rsyslogd: imuxsock[pid: 201, name: qemu]: 6 messages lost due to rate-limiting");
  log.log("rsyslogd: imjournal: 7 messages lost due to rate-limiting");
  log.log("systemd-journald[1864]: Suppressed 8 messages from web1.scope");
  log.log("systemd-journald[1864]: Suppressed 9 messages from cron.service");

  EXPECT_THAT(log.seen, ElementsAre("lost 5", "lost 7", "lost 8"));
  EXPECT_EQ(log.decoder.stats().dropped_events, 20u);
}

TEST(SharedLogDecoder, TakesRepetitionsOfOurLastLineForLost) {
  Syslog log;

  log.log("qemu-system-x86_64[101]: one a 5");
  log.log("last message repeated 3 times");
  log.log("cron[201]: hello");
  log.log("last message repeated 4 times");

  EXPECT_THAT(log.seen, ElementsAre("one [a 5]", "lost 3"));
}

TEST(SharedLogDecoder, DoesNotRepeatWithoutEnd) {
  Syslog log;

  log.log("qemu-system-x86_64[101]: message repeated 4000000000 times: [ bare ]");

  EXPECT_EQ(log.decoder.stats().records, 10'001u);
  EXPECT_EQ(log.decoder.stats().dropped_events, 3'999'989'999u);
}

TEST(SharedLogDecoder, SurvivesRubbish) {
  test::expect_to_survive_rubbish<Ftrace>("<>-101 [].:\n\0one CPULOSTracing_mark_write");
  test::expect_to_survive_rubbish<Syslog>("<30>1 -T:.Z[]\n\\\"qemu101 one Nov");
}

}  // namespace
}  // namespace qemon::trace
