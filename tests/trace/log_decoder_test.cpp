#include "trace/log_decoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/trace/log_reading.hpp"

namespace qemon::trace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view catalog_text =
    "one(int a) \"a %d\"\n"
    "two(const char *s) \"s '%s'\"\n"
    "bare(void)\n"
    "scsi_disk_dma_command_READ(uint32_t n) \"%u\"\n"
    "porta(uint16_t a, uint16_t b, uint16_t c) \"a 0x%x\\nb 0x%x\\nc 0x%x\"\n";

struct Kept {
  std::string event;
  std::string payload;
  bool has_time = false;
  std::int64_t time_ns = 0;
  std::uint32_t id = 0;

  bool operator==(const Kept&) const = default;
};

void PrintTo(const Kept& kept, std::ostream* out) {
  *out << kept.event << " [" << kept.payload << "] time " << kept.has_time << ' ' << kept.time_ns
       << " id " << kept.id;
}

Kept plain(std::string event, std::string payload) {
  return {std::move(event), std::move(payload)};
}

/// A decoder with a table and a catalog, and what came out of it.
class Decoding : public test::LogReading<LogDecoder> {
 public:
  explicit Decoding(LogDecoderOptions options = {})
      : LogReading(options), catalog(Catalog::parse(catalog_text).value()) {
    for (const auto& event : catalog.events()) events.add(event.name);
    events.use_catalog(&catalog);
  }

  void on_record(const Record& record) override {
    records.push_back({events.name(record.event), std::string(record.payload), record.has_time,
                       record.time_ns, record.id});
  }
  void on_loss(std::uint64_t) override {}

  Catalog catalog;
  std::vector<Kept> records;
};

TEST(LogDecoder, ReadsLinesWithoutPrefix) {
  Decoding log;

  log.feed("one a 5\nbare \ntwo s 'x y'\nscsi_disk_dma_command_READ 3\n");

  EXPECT_THAT(log.records,
              ElementsAre(plain("one", "a 5"), plain("bare", ""), plain("two", "s 'x y'"),
                          plain("scsi_disk_dma_command_READ", "3")));
  EXPECT_EQ(log.decoder.stats().records, 4u);
  EXPECT_TRUE(log.decoder.stats().span.empty());
}

TEST(LogDecoder, ReadsThreadAndTimeOfQemu10AndOlder) {
  Decoding log;

  log.feed(
      "30048@1795377070.851320:one a 5\n1@0.000001:bare \n4294967295@9223372035.999999:bare \n");

  EXPECT_THAT(log.records, ElementsAre(Kept{"one", "a 5", true, 1795377070851320000, 30048},
                                       Kept{"bare", "", true, 1000, 1},
                                       Kept{"bare", "", true, 9223372035999999000, 4294967295}));
  EXPECT_FALSE(log.decoder.stats().span.empty());
}

TEST(LogDecoder, ReadsIsoTimeOfQemu10_1AndNewer) {
  Decoding log;

  log.feed(
      "2026-11-22T20:17:07.141597Z one a 5\n"
      "2026-11-22T20:17:07Z one a 5\n"
      "1970-01-01T00:00:00.5Z bare \n"
      "2000-02-29T23:59:60.123456789Z bare \n"
      "2100-03-01T00:00:00Z bare \n");

  EXPECT_THAT(log.records, ElementsAre(Kept{"one", "a 5", true, 1795378627141597000, 0},
                                       Kept{"one", "a 5", true, 1795378627000000000, 0},
                                       Kept{"bare", "", true, 500000000, 0},
                                       Kept{"bare", "", true, 951868800123456789, 0},
                                       Kept{"bare", "", true, 4107542400000000000, 0}));
}

TEST(LogDecoder, ReadsThePrefixesThatArePendingUpstream) {
  Decoding log;
  const std::int64_t time_ns = 1795378627141597000;

  log.feed(
      "2026-11-22T20:17:07.141597Z [web 1] qemu-system-x86_64(123:CPU 0/KVM): one a 5\n"
      "2026-11-22T20:17:07.141597Z [web 1] one a 5\n"
      "[web 1] qemu-kvm(4:main): one a 5\n"
      "qemu-kvm(4:main): one a 5\n");

  EXPECT_THAT(
      log.records,
      ElementsAre(Kept{"one", "a 5", true, time_ns, 123}, Kept{"one", "a 5", true, time_ns, 0},
                  Kept{"one", "a 5", false, 0, 4}, Kept{"one", "a 5", false, 0, 4}));
}

TEST(LogDecoder, CountsEveryOtherLineAsUnknown) {
  const std::string lines[] = {
      "",
      " ",
      " one a 5",
      "onea 5",
      "one:a 5",
      "one\ta",
      "on a 5",
      "qemu-system-x86_64: warning: one a 5",
      "@1.000000:one a",
      "1@.000000:one a",
      "1@1.00000:one a",
      "1@1.0000000:one a",
      "1@1.00000x:one a",
      "1@1,000000:one a",
      "1@1.000000 one a",
      "1@1.000000:",
      "1@1.000000:one:",
      "4294967296@1.000000:one a",
      "1@9223372036.854776:one a",
      "1@99999999999999999999.000000:one a",
      "11111111111111111111@1.000000:one a",
      "2026-11-22T20:17:07.141597Zone a",
      "2026-11-22T20:17:07.141597 one a",
      "2026-11-22T20:17:07.Z one a",
      "2026-11-22T20:17:07.1234567890Z one a",
      "2026-11-22 20:17:07Z one a",
      "2026-13-22T20:17:07Z one a",
      "2026-00-22T20:17:07Z one a",
      "2026-11-32T20:17:07Z one a",
      "2026-11-22T24:17:07Z one a",
      "2026-11-22T20:60:07Z one a",
      "2026-11-22T20:17:61Z one a",
      "1969-11-22T20:17:07Z one a",
      "2262-11-22T20:17:07Z one a",
      "20x6-11-22T20:17:07Z one a",
      "2026-11-22T20:17:07",
      "[web one a",
      "[web] warning one a",
      "(1:x): one a",
      "p(:x): one a",
      "p(1x): one a",
      "p(1:x) one a",
      "p q(1:x): one a",
      "p(4294967296:x): one a",
      "p(1:" + std::string(300, 'x') + "): one a",
      "\xff\xfe\x01",
      std::string("one\0a 5", 7),
      std::string(5000, 'x'),
  };
  for (const auto& line : lines) test::expect_to_be_unknown<Decoding>(line);
}

TEST(LogDecoder, TakesANameAtTheEndOfTheLine) {
  Decoding log;

  log.feed("bare\n1@1.000000:bare\r\none a 5\r\n");

  EXPECT_THAT(log.records, ElementsAre(plain("bare", ""), Kept{"bare", "", true, 1000000000, 1},
                                       plain("one", "a 5")));
}

TEST(LogDecoder, LeavesAnUnfinishedLine) {
  Decoding log;

  log.feed("one a 5\none a");

  EXPECT_EQ(log.records.size(), 1u);
  EXPECT_EQ(log.pending, "one a");
  log.feed(" 6\n");
  EXPECT_THAT(log.records, ElementsAre(plain("one", "a 5"), plain("one", "a 6")));
}

TEST(LogDecoder, GivesTheSameHoweverTheBytesAreSplit) {
  const std::string text =
      std::string(100, '\0') +
      "1@1.000000:one a 5\nrubbish\n\n2026-11-22T20:17:07.141597Z two s 'x'\r\n"
      "porta a 0x1\nb 0x2\nc 0x3\nporta a 0x1\nb 0x2\none a 6\nbare\n" +
      std::string(70, '\0') + "bare \n[g] p(1:x): bare \nend";
  Decoding whole;
  whole.feed(text);
  ASSERT_EQ(whole.records.size(), 8u);
  ASSERT_EQ(whole.unknown(), 2u);

  for (std::size_t first = 0; first < text.size(); ++first) {
    Decoding split;
    split.feed(std::string_view(text).substr(0, first));
    split.feed(std::string_view(text).substr(first));
    EXPECT_EQ(split.records, whole.records) << "split at " << first;
    EXPECT_EQ(split.unknown(), whole.unknown()) << "split at " << first;
    EXPECT_EQ(split.pending, "end");
  }
  Decoding bytes;
  for (const char c : text) bytes.feed({&c, 1});
  EXPECT_EQ(bytes.records, whole.records);
  EXPECT_EQ(bytes.unknown(), whole.unknown());
}

TEST(LogDecoder, JoinsTheLinesOfAFormatWithNewlines) {
  Decoding log;

  log.feed("1@2.000000:porta a 0x1\nb 0x2\nc 0x3\n");

  EXPECT_THAT(log.records, ElementsAre(Kept{"porta", "a 0x1\nb 0x2\nc 0x3", true, 2000000000, 1}));
  Arguments got;
  const std::string payload = log.records[0].payload;
  ASSERT_TRUE(log.decoder.arguments({.event = *log.events.find("porta"), .payload = payload}, got));
  EXPECT_EQ(got.values[2].bits, 3u);
}

TEST(LogDecoder, WaitsForTheLinesOfARecord) {
  Decoding log;

  log.feed("one a 5\nporta a 0x1\nb 0x2\nc 0x");

  EXPECT_EQ(log.records.size(), 1u);
  EXPECT_EQ(log.pending, "porta a 0x1\nb 0x2\nc 0x");
}

TEST(LogDecoder, EndsARecordOfSeveralLinesAtTheNextTraceLine) {
  Decoding log;

  log.feed("porta a 0x1\nporta a 0x2\nb 0x2\n1@1.000000:bare \n");

  EXPECT_THAT(log.records, ElementsAre(plain("porta", "a 0x1"), plain("porta", "a 0x2\nb 0x2"),
                                       Kept{"bare", "", true, 1000000000, 1}));
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(LogDecoder, DoesNotWaitForARecordLargerThanTheBuffer) {
  Decoding log;
  std::string bytes = "porta a 0x1\n";
  bytes.resize(decode_bytes_max, 'x');

  log.feed(bytes);
  EXPECT_THAT(log.records, ElementsAre(plain("porta", "a 0x1")));
  log.feed(std::string(100, 'x') + "\nbare \n");

  EXPECT_THAT(log.records, ElementsAre(plain("porta", "a 0x1"), plain("bare", "")));
  EXPECT_EQ(log.unknown() + log.overlong(), 1u);
}

TEST(LogDecoder, PassesOverAHoleInFrontOfALine) {
  Decoding log;
  const std::string nuls(256 * 1024, '\0');

  for (int i = 0; i < 4096; ++i) {  // 1 GiB
    EXPECT_EQ(log.decoder.decode(nuls, log), nuls.size());
  }
  log.feed(std::string(77, '\0') + "one a 5\n");

  EXPECT_THAT(log.records, ElementsAre(plain("one", "a 5")));
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(LogDecoder, CountsAnOverlongLineOnceAndSkipsIt) {
  Decoding log;
  std::string bytes = "1@1.000000:two s '";
  bytes.resize(decode_bytes_max, 'x');

  log.feed(bytes);
  for (int i = 0; i < 10; ++i) log.feed(bytes);
  EXPECT_EQ(log.pending, "");
  log.feed("'\none a 5\n");

  EXPECT_THAT(log.records, ElementsAre(Kept{"two", "", true, 1000000000, 1}, plain("one", "a 5")));
  EXPECT_EQ(log.overlong(), 1u);
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(LogDecoder, TreatsAnOverlongLineAlikeWhenItsEndIsInSight) {
  Decoding log;

  log.feed("two " + std::string(decode_bytes_max, 'x') + "\none a 5\n" +
           std::string(decode_bytes_max, 'y') + "\nbare \n");

  EXPECT_THAT(log.records, ElementsAre(plain("two", ""), plain("one", "a 5"), plain("bare", "")));
  EXPECT_EQ(log.overlong(), 2u);
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(LogDecoder, TakesALineThatJustFits) {
  Decoding log;
  const std::string text(decode_bytes_max - 1 - std::string("two ").size(), 'x');

  log.feed("two " + text);
  log.feed("\n");

  ASSERT_EQ(log.records.size(), 1u);
  EXPECT_EQ(log.records[0].payload, text);
  EXPECT_EQ(log.overlong(), 0u);
}

TEST(LogDecoder, StartsAtTheNextLineWhenAskedTo) {
  Decoding log({.start_mid_line = true});

  log.feed("one a 5");
  EXPECT_EQ(log.pending, "");
  log.feed(" one a 6\none a 7\n");

  EXPECT_THAT(log.records, ElementsAre(plain("one", "a 7")));
  EXPECT_EQ(log.unknown(), 0u);
}

TEST(LogDecoder, RestartsAtTheBeginningOfALine) {
  Decoding log({.start_mid_line = true});
  log.feed("half a li");

  log.decoder.restart();
  log.feed("one a 5\n");

  EXPECT_THAT(log.records, ElementsAre(plain("one", "a 5")));
  EXPECT_EQ(log.decoder.stats().records, 1u);
}

TEST(LogDecoder, KnowsNamesAsSoonAsTheyAreInTheTable) {
  Decoding log;
  log.feed("late 1\n");
  EXPECT_EQ(log.unknown(), 1u);

  log.events.add("late");
  log.feed("late 2\n");

  EXPECT_THAT(log.records, ElementsAre(plain("late", "2")));
  Arguments got;
  EXPECT_FALSE(log.decoder.arguments({.event = *log.events.find("late"), .payload = "2"}, got));
}

TEST(LogDecoder, KnowsNothingWithAnEmptyTable) {
  const EventTable events;
  LogDecoder decoder(events);
  Decoding sink;

  EXPECT_EQ(decoder.decode("one a 5\n1@1.000000: \n", sink), 21u);

  EXPECT_THAT(sink.records, IsEmpty());
  EXPECT_EQ(test::errors(decoder.stats(), DecodeError::unknown_line), 2u);
}

TEST(LogDecoder, TellsNamesOfAllLengthsApart) {
  Decoding log;
  std::vector<Kept> wanted;
  std::string text;
  for (std::size_t size = 1; size <= 80; ++size) {
    for (const char last : {'a', 'b', 'Z', '0'}) {
      const std::string name = std::string(size - 1, 'q') + last;
      log.events.add(name);
      text += name + " x\n" + name + "_ x\n";
      wanted.push_back(plain(name, "x"));
    }
  }

  log.feed(text);

  EXPECT_EQ(log.records, wanted);
  EXPECT_EQ(log.unknown(), 320u);
}

TEST(LogDecoder, GivesArgumentsByTheCatalogInUse) {
  Decoding log;
  const Record record{.event = *log.events.find("one"), .payload = "a -5"};
  Arguments got;

  ASSERT_TRUE(log.decoder.arguments(record, got));
  EXPECT_EQ(got.count, 1u);
  EXPECT_EQ(static_cast<std::int64_t>(got.values[0].bits), -5);

  const auto other = Catalog::parse("one(unsigned b, int c) \"b %x c %d\"\n");
  ASSERT_TRUE(other);
  log.events.use_catalog(&*other);
  EXPECT_FALSE(log.decoder.arguments(record, got));
  EXPECT_TRUE(log.decoder.arguments({.event = record.event, .payload = "b ff c 1"}, got));
  EXPECT_EQ(got.values[0].bits, 255u);

  log.events.use_catalog(nullptr);
  EXPECT_FALSE(log.decoder.arguments(record, got));
  EXPECT_FALSE(log.decoder.arguments({.event = 12345, .payload = ""}, got));
}

TEST(LogDecoder, SurvivesRubbish) {
  test::expect_to_survive_rubbish<Decoding>({"one two porta 12345@.:-TZ[]()'ax\n\n\r\0\0\xff", 39});
}

}  // namespace
}  // namespace qemon::trace
