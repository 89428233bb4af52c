#include "trace/simple_decoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/files.hpp"
#include "tests/trace/decoding.hpp"
#include "tests/trace/recorded.hpp"

namespace qemon::trace {
namespace {

using test::CollectingSink;
using test::errors;
using test::feed;
using test::Found;
using test::SimpleTrace;
using test::string;
using test::u64s;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view events_text =
    "none(void) \"\"\n"
    "numbers(int a, uint64_t b) \"a %d b %\"PRIu64\n"
    "text(const char *s, int n, char *t) \"s %s n %d t %s\"\n";

/// A decoder with a catalog of three events, which the file calls 0, 1 and 2.
class SimpleDecoderTest : public testing::Test {
 protected:
  SimpleDecoderTest() : catalog(*Catalog::parse(events_text)) { events.use_catalog(&catalog); }

  static SimpleTrace head() {
    SimpleTrace trace;
    return trace.header().mapping(0, "none").mapping(1, "numbers").mapping(2, "text");
  }

  Catalog catalog;
  EventTable events;
  SimpleDecoder decoder{events};
  CollectingSink sink{events, decoder};
};

using Strings = std::vector<std::string>;

TEST_F(SimpleDecoderTest, GivesEachRecordWithItsTimeProcessAndArguments) {
  auto trace = head();
  trace.event(1, 1000, u64s({5, 6}), 99).event(0, 1001, "", 99);

  const auto used = decoder.decode(trace.bytes, sink);

  EXPECT_EQ(used, trace.bytes.size());
  EXPECT_THAT(sink.records, ElementsAre(Found{"numbers", 1000, 99, Strings{"5", "6"}},
                                        Found{"none", 1001, 99, Strings{}}));
  EXPECT_EQ(decoder.stats().records, 2U);
  EXPECT_FALSE(decoder.stats().span.empty());
  EXPECT_THAT(sink.losses, IsEmpty());
}

TEST_F(SimpleDecoderTest, KeepsTheSignExtensionOfSignedArguments) {
  auto trace = head();
  trace.event(1, 1, u64s({static_cast<std::uint64_t>(-22), 1}));

  decoder.decode(trace.bytes, sink);

  EXPECT_EQ(sink.records.at(0).arguments,
            (Strings{std::to_string(static_cast<std::uint64_t>(-22)), "1"}));
}

TEST_F(SimpleDecoderTest, GivesStringsEmptyOnesAndThoseOfFullLength) {
  const std::string longest(512, 'x');
  auto trace = head();
  trace.event(2, 1, string("") + u64s({7}) + string(longest))
      .event(2, 2, string("a\0\n\xff") + u64s({8}) + string(""));

  decoder.decode(trace.bytes, sink);

  EXPECT_EQ(sink.records.at(0).arguments, (Strings{"", "7", longest}));
  EXPECT_EQ(sink.records.at(1).arguments, (Strings{"a", "8", ""}));
  EXPECT_EQ(decoder.mismatches(), 0U);
}

TEST_F(SimpleDecoderTest, DoesNotCareHowTheBytesArrive) {
  auto trace = head();
  trace.event(1, 1, u64s({1, 2}))
      .mapping(3, "later")
      .event(2, 2, string("abc") + u64s({3}) + string("d"));
  trace.dropped(3, 17).event(3, 3, "").event(0, 4, "");
  decoder.decode(trace.bytes, sink);
  ASSERT_EQ(sink.records.size(), 4U);

  for (std::size_t piece = 1; piece <= trace.bytes.size(); ++piece) {
    EventTable other_events;
    other_events.use_catalog(&catalog);
    SimpleDecoder other(other_events);
    CollectingSink other_sink(other_events, other);
    EXPECT_EQ(feed(other, other_sink, trace.bytes, piece), "") << "pieces of " << piece;
    EXPECT_EQ(other_sink.records, sink.records) << "pieces of " << piece;
    EXPECT_EQ(other_sink.losses, sink.losses);
    EXPECT_EQ(other.stats().errors, decoder.stats().errors);
  }
}

TEST_F(SimpleDecoderTest, LeavesATornRecordForLaterAndGivesWholeOnesAtOnce) {
  auto trace = head();
  trace.event(1, 1, u64s({1, 2}))
      .event(2, 2, string("abc") + u64s({3}) + string("d"))
      .event(0, 3, "");
  trace.starts.push_back(trace.bytes.size());

  for (std::size_t cut = 0; cut <= trace.bytes.size(); ++cut) {
    EventTable other_events;
    SimpleDecoder other(other_events);
    CollectingSink other_sink(other_events, other);
    const auto whole = std::count_if(trace.starts.begin() + 1, trace.starts.end(),
                                     [&](auto end) { return end <= cut; });

    auto rest = feed(other, other_sink, trace.bytes.substr(0, cut), cut + 1);
    EXPECT_EQ(other_sink.records.size(), static_cast<std::size_t>(whole)) << "cut at " << cut;
    feed(other, other_sink, trace.bytes.substr(cut), trace.bytes.size(), std::move(rest));
    EXPECT_EQ(other_sink.records.size(), 3U) << "cut at " << cut;
    EXPECT_EQ(other.stats().lost_bytes + other.stats().resyncs, 0U);
  }
}

TEST_F(SimpleDecoderTest, TakesMappingsAnywhereAndBelievesTheLast) {
  auto trace = head();
  trace.event(1, 1, u64s({1, 2}))
      .mapping(1, "none")
      .event(1, 2, "")
      .mapping(4000, "module_event")
      .event(4000, 3, "");

  decoder.decode(trace.bytes, sink);

  EXPECT_THAT(sink.records, ElementsAre(Found{"numbers", 1, 4711, Strings{"1", "2"}},
                                        Found{"none", 2, 4711, Strings{}},
                                        Found{"module_event", 3, 4711, std::nullopt}));
}

TEST_F(SimpleDecoderTest, CountsRecordsWithoutAMappingAsUnknown) {
  auto trace = head();
  trace.event(77, 1, u64s({1})).event(0, 2, "").event(9'999, 3, "");

  decoder.decode(trace.bytes, sink);

  EXPECT_EQ(sink.records.size(), 1U);
  EXPECT_EQ(errors(decoder.stats(), DecodeError::unknown_event), 2U);
  EXPECT_EQ(decoder.stats().resyncs, 0U);
}

TEST_F(SimpleDecoderTest, ReportsWhatQemuDroppedBeforeTheRecordThatFollows) {
  auto trace = head();
  trace.event(0, 1, "").dropped(5, 12).event(0, 2, "").dropped(6, 30).event(0, 7, "");

  decoder.decode(trace.bytes, sink);

  EXPECT_EQ(decoder.stats().dropped_events, 42U);
  EXPECT_THAT(sink.losses, ElementsAre(12U, 30U));
  EXPECT_EQ(sink.records.size(), 3U);
}

TEST_F(SimpleDecoderTest, LeavesOutWhatIsOlderThanAskedFor) {
  decoder.set_not_before(100);
  auto trace = head();
  trace.event(0, 98, "").event(0, 99, "").event(0, 100, "").event(0, 101, "");

  decoder.decode(trace.bytes, sink);

  EXPECT_EQ(sink.records.size(), 2U);
  EXPECT_EQ(decoder.stats().stale_records, 2U);
}

TEST_F(SimpleDecoderTest, DropsBeforeStaleRecordsAreNotOurs) {
  decoder.set_not_before(100);
  auto trace = head();
  trace.dropped(105, 7).event(0, 98, "").event(0, 101, "").dropped(110, 3).event(0, 108, "");

  feed(decoder, sink, trace.bytes, 1);

  EXPECT_EQ(decoder.stats().dropped_events, 3U);
  EXPECT_THAT(sink.losses, ElementsAre(3U));
}

TEST_F(SimpleDecoderTest, DropsBeforeTheFirstFreshRecordAreCounted) {
  decoder.set_not_before(100);
  auto trace = head();
  trace.event(0, 98, "").dropped(105, 7).dropped(106, 1).event(0, 101, "");

  decoder.decode(trace.bytes, sink);

  EXPECT_EQ(decoder.stats().dropped_events, 8U);
  EXPECT_THAT(sink.losses, ElementsAre(8U));
}

TEST_F(SimpleDecoderTest, AHostThatHasBeenUpForYearsMayBeginWithADrop) {
  const std::uint64_t years = 4ULL * 365 * 24 * 3600 * 1'000'000'000;
  auto trace = head();
  trace.dropped(years + 5, 7).event(0, years, "").event(0, years + 1, "");

  decoder.decode(trace.bytes, sink);

  EXPECT_EQ(sink.records.size(), 2U);
  EXPECT_EQ(decoder.stats().resyncs, 0U);
}

TEST_F(SimpleDecoderTest, CountsByNameWhenTheCatalogIsNotThatOfTheTrace) {
  auto trace = head();
  trace.event(1, 1, u64s({1, 2, 3}))
      .event(2, 2, u64s({1}))
      .event(0, 3, u64s({1}))
      .event(1, 4, u64s({1, 2}));

  decoder.decode(trace.bytes, sink);

  EXPECT_EQ(sink.records.size(), 4U);
  EXPECT_EQ(decoder.mismatches(), 3U);
  EXPECT_FALSE(sink.records[0].arguments || sink.records[1].arguments || sink.records[2].arguments);
  EXPECT_TRUE(sink.records[3].arguments);
  EXPECT_EQ(decoder.stats().resyncs, 0U);
}

TEST_F(SimpleDecoderTest, TakesUpAnotherCatalogAtAnyTime) {
  auto trace = head();
  trace.event(1, 1, u64s({1, 2}));
  events.use_catalog(nullptr);
  decoder.decode(trace.bytes, sink);
  events.use_catalog(&catalog);
  decoder.decode(SimpleTrace().event(1, 2, u64s({3, 4})).bytes, sink);

  EXPECT_EQ(sink.records.at(0).arguments, std::nullopt);
  EXPECT_EQ(sink.records.at(1).arguments, (Strings{"3", "4"}));
  EXPECT_EQ(decoder.mismatches(), 0U);
}

TEST_F(SimpleDecoderTest, StartsAnewAfterARestartWithOtherIds) {
  auto trace = head();
  trace.event(1, 100'000'000'000, u64s({1, 2}));
  decoder.decode(trace.bytes, sink);
  decoder.restart();
  decoder.decode(SimpleTrace().header().mapping(0, "numbers").event(0, 5, u64s({3, 4}), 12).bytes,
                 sink);

  EXPECT_THAT(sink.records, ElementsAre(Found{"numbers", 100'000'000'000, 4711, Strings{"1", "2"}},
                                        Found{"numbers", 5, 12, Strings{"3", "4"}}));
  EXPECT_THAT(sink.losses, IsEmpty());
}

TEST_F(SimpleDecoderTest, StartsAnewAtAHeaderWhereARecordShouldBe) {
  auto trace = head();
  trace.event(1, 1, u64s({1, 2})).header().mapping(1, "none").event(1, 2, "", 5).event(0, 3, "", 5);

  decoder.decode(trace.bytes, sink);

  EXPECT_EQ(sink.records.size(), 2U);
  EXPECT_EQ(sink.records.at(1).event, "none");
  EXPECT_EQ(errors(decoder.stats(), DecodeError::unknown_event), 1U);
}

TEST_F(SimpleDecoderTest, CountsATornRecordThatARestartLeavesBehind) {
  auto trace = head();
  trace.event(0, 1, "").event(1, 2, u64s({1, 2}));
  trace.bytes.resize(trace.bytes.size() - 3);
  decoder.decode(trace.bytes, sink);
  decoder.restart();
  decoder.decode(head().bytes, sink);

  EXPECT_EQ(decoder.stats().lost_bytes, 45U);
  EXPECT_EQ(errors(decoder.stats(), DecodeError::bad_record), 1U);
  EXPECT_THAT(sink.losses, ElementsAre(0U));
}

TEST_F(SimpleDecoderTest, RefusesOtherVersionsByteOrdersAndFilesOnceAndSaysWhy) {
  const std::string swapped = [] {
    std::string bytes;
    for (const std::uint64_t word :
         {~std::uint64_t{0}, std::uint64_t{0xf2b177cb0aa429b4U}, std::uint64_t{4}})
      bytes += u64s({__builtin_bswap64(word)});
    return bytes;
  }();
  const std::vector<std::pair<std::string, std::string>> cases{
      {SimpleTrace().header(3).bytes,
       "trace file format version 3 is not supported, only 4 (QEMU 2.8 and later)"},
      {swapped, "the trace file is from a host of other byte order: decode it on such a host"},
      {"virtio_blk_handle_read vdev 0x1", "not a trace file of QEMU's simple backend"},
      {"x", "not a trace file of QEMU's simple backend"},
      {std::string(64, '\0'), "not a trace file of QEMU's simple backend"}};
  std::uint64_t refused = 0;
  for (const auto& [bytes, problem] : cases) {
    for (const std::size_t piece : {std::size_t{1}, bytes.size()}) {
      decoder.restart();
      EXPECT_EQ(feed(decoder, sink, bytes + std::string(1000, 'x'), piece), "");
      EXPECT_EQ(decoder.problem(), problem);
      EXPECT_EQ(errors(decoder.stats(), DecodeError::bad_header), ++refused);
    }
  }
  decoder.restart();
  decoder.decode(head().event(0, 1, "").bytes, sink);
  EXPECT_EQ(sink.records.size(), 1U);
  EXPECT_EQ(decoder.problem(), "");
}

TEST_F(SimpleDecoderTest, AnEmptyFileIsNoError) {
  EXPECT_EQ(decoder.decode({}, sink), 0U);
  EXPECT_EQ(decoder.decode(SimpleTrace().header().bytes.substr(0, 23), sink), 0U);
  EXPECT_EQ(decoder.stats().errors, DecoderStats{}.errors);
}

TEST_F(SimpleDecoderTest, JoinsAFileAnywhereAfterReadingItsHead) {
  auto trace = head();
  for (std::uint64_t i = 0; i < 6; ++i)
    trace.event(2, i, string("numbers") + u64s({i}) + string("none"))
        .event(1, i, u64s({0, 1}))
        .event(0, i, "");

  // With only the mappings in the head, and with records in it as well.
  for (const std::size_t head_size : {head().bytes.size(), trace.starts[2] + 3}) {
    for (std::size_t from = head().bytes.size(); from < trace.bytes.size(); ++from) {
      EventTable other_events;
      other_events.use_catalog(&catalog);
      SimpleDecoder other(other_events);
      CollectingSink other_sink(other_events, other);
      ASSERT_TRUE(other.read_head(std::string_view(trace.bytes).substr(0, head_size)));
      feed(other, other_sink, std::string_view(trace.bytes).substr(from), 7);
      const auto expected = std::count_if(trace.starts.begin(), trace.starts.end(),
                                          [&](auto at) { return at >= from; });
      EXPECT_EQ(other_sink.records.size(), static_cast<std::size_t>(expected)) << "from " << from;
      EXPECT_EQ(other.stats().resyncs + other.stats().lost_bytes, 0U);
      EXPECT_EQ(other.stats().errors, DecoderStats{}.errors);
    }
  }
}

TEST_F(SimpleDecoderTest, GoesOnBehindAGapOfTheSameFile) {
  auto trace = head();
  trace.event(0, 1, "").event(1, 2, u64s({1, 2}));
  decoder.decode(trace.bytes, sink);

  decoder.resume();
  decoder.decode(std::string(100, '\0') + SimpleTrace().event(1, 3, u64s({3, 4})).bytes, sink);

  EXPECT_EQ(sink.records.size(), 3U);
  EXPECT_THAT(sink.losses, ElementsAre(0U));
  EXPECT_EQ(decoder.stats().resyncs, 0U);
}

TEST_F(SimpleDecoderTest, GoesOnWhenTheHeadHasBecomeAHole) {
  auto trace = head();
  trace.event(0, 1, "").event(1, 2, u64s({1, 2}));
  decoder.decode(trace.bytes, sink);

  EXPECT_TRUE(decoder.read_head(std::string(4096, '\0')));
  decoder.decode(SimpleTrace().event(1, 3, u64s({3, 4})).bytes, sink);

  EXPECT_EQ(sink.records.size(), 3U);
  EXPECT_EQ(decoder.stats().errors, DecoderStats{}.errors);
}

TEST_F(SimpleDecoderTest, CannotGoOnInAFileOfWhichItNeverSawTheHead) {
  decoder.resume();

  EXPECT_EQ(decoder.decode(SimpleTrace().event(1, 3, u64s({3, 4})).bytes, sink), 48U);
  EXPECT_THAT(decoder.problem(), HasSubstr("switch it off and on"));
  EXPECT_EQ(errors(decoder.stats(), DecodeError::bad_header), 1U);
}

TEST_F(SimpleDecoderTest, SaysWhenAHeadIsNone) {
  const auto text = decoder.read_head("some text, but not a trace");
  const auto nothing = decoder.read_head("");

  ASSERT_FALSE(text || nothing);
  EXPECT_EQ(text.error().detail, "not a trace file of QEMU's simple backend");
  EXPECT_EQ(nothing.error().detail, "the trace file has no header yet");
}

TEST_F(SimpleDecoderTest, DoesNotTakeNamesWithoutEnd) {
  SimpleTrace trace;
  trace.header();
  for (std::uint64_t i = 0; i < 100'100; ++i) trace.mapping(i % 5000, "e" + std::to_string(i));

  EXPECT_EQ(feed(decoder, sink, trace.bytes, decode_bytes_max), "");

  EXPECT_EQ(events.size(), 100'000U);
  EXPECT_EQ(errors(decoder.stats(), DecodeError::bad_mapping), 100U);
}

/// Computes what simple-7.2.expected.json holds: sums by argument name, and latencies of virtio-blk
/// requests.
class SummingSink : public RecordSink {
 public:
  SummingSink(const EventTable& events, const Decoder& decoder)
      : events_(events), decoder_(decoder) {}

  void on_record(const Record& record) override {
    const std::string& name = events_.name(record.event);
    if (total == 0) first_ns = record.time_ns;
    ++total;
    last_ns = record.time_ns;
    ++counts[name];
    Arguments arguments;
    ASSERT_TRUE(decoder_.arguments(record, arguments)) << name;
    const auto& declared = events_.described(record.event)->arguments;
    for (std::size_t i = 0; i < arguments.count; ++i) {
      if (declared[i].name == "bytes" || declared[i].name == "nsectors")
        sums[name][declared[i].name] += arguments.values[i].bits;
    }
    if (!name.starts_with("virtio_blk_handle_") && name != "virtio_blk_req_complete") return;
    const auto key = std::pair(arguments.values[0].bits, arguments.values[1].bits);
    if (name != "virtio_blk_req_complete") {
      begun[key] = {name.substr(name.rfind('_')), record.time_ns};
    } else if (const auto begin = begun.extract(key); begin) {
      auto& latency = latencies[begin.mapped().first];
      const auto took = record.time_ns - begin.mapped().second;
      latency["min_ns"] = latency["count"] == 0 ? took : std::min(latency["min_ns"], took);
      latency["max_ns"] = std::max(latency["max_ns"], took);
      latency["sum_ns"] += took;
      ++latency["count"];
    }
  }
  void on_loss(std::uint64_t) override { ADD_FAILURE() << "nothing is missing in this file"; }

  std::uint64_t total = 0;
  std::int64_t first_ns = 0;
  std::int64_t last_ns = 0;
  std::map<std::string, std::uint64_t> counts;
  std::map<std::string, std::map<std::string, std::uint64_t>> sums;
  std::map<std::string, std::map<std::string, std::int64_t>> latencies;

 private:
  const EventTable& events_;
  const Decoder& decoder_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::pair<std::string, std::int64_t>> begun;
};

TEST(SimpleDecoderFixture, FindsInARecordedTraceWhatSimpletracePyFinds) {
  const auto expected =
      nlohmann::json::parse(test::read_file(QEMON_TEST_DATA "/simple-7.2.expected.json"));
  const auto catalog = Catalog::load(QEMON_TEST_DATA "/simple-7.2.events.txt");
  ASSERT_TRUE(catalog) << catalog.error().detail;
  EventTable events;
  events.use_catalog(&*catalog);
  SimpleDecoder decoder(events);
  SummingSink sink(events, decoder);

  const std::string rest = feed(decoder, sink, test::recording("simple-7.2.bin.gz"), 100'003);

  EXPECT_EQ(rest, "");
  EXPECT_EQ(sink.total, expected["total"]);
  EXPECT_EQ(decoder.stats().records, expected["total"]);
  EXPECT_EQ(decoder.stats().dropped_events, expected["dropped"]);
  EXPECT_EQ(sink.first_ns, expected["first_ns"]);
  EXPECT_EQ(sink.last_ns, expected["last_ns"]);
  EXPECT_EQ(nlohmann::json(sink.counts), expected["events"]);
  EXPECT_EQ(nlohmann::json(sink.sums), expected["sums"]);
  EXPECT_EQ(nlohmann::json(sink.latencies), expected["virtio_blk_latency"]);
  EXPECT_EQ(decoder.mismatches(), 0U);
  EXPECT_EQ(decoder.stats().errors, DecoderStats{}.errors);
}

}  // namespace
}  // namespace qemon::trace
