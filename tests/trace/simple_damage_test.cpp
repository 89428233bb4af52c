// What SimpleDecoder makes of damaged traces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/trace/decoding.hpp"

namespace qemon::trace {
namespace {

using test::errors;
using test::Found;
using test::SimpleTrace;
using test::string;
using test::u64s;

/// A damaged trace, decoded.
struct Decoded : test::Decoding<SimpleDecoder> {
  Decoded() : Decoding(catalog()) {}
  Decoded(std::string_view bytes, std::size_t piece) : Decoded() {
    rest = test::feed(decoder, sink, bytes, piece);
  }

  static const Catalog& catalog() {
    static const Catalog made = test::made_catalog();
    return made;
  }
};

SimpleTrace head() {
  SimpleTrace trace;
  return trace.header().mapping(0, "none").mapping(1, "numbers").mapping(2, "text");
}

/// Records of different sizes, each with a time of its own.
SimpleTrace small_trace() {
  auto trace = head();
  for (std::uint64_t i = 0; i < 4; ++i) {
    const std::uint64_t time = 1'000'000'000'000 + 100 * i;
    trace.event(1, time, u64s({i, 0x7f0012345678}))
        .event(2, time + 1, string("drive-" + std::to_string(i)) + u64s({0}));
    trace.event(0, time + 2, "");
  }
  return trace;
}

/// A damaged length can make the decoder wait for up to 8 KiB more before it knows.
constexpr std::size_t filler_records = 18;
void add_filler(SimpleTrace& trace) {
  for (std::uint64_t i = 0; i < filler_records; ++i)
    trace.event(2, 1'000'000'001'000 + i, string(std::string(500, 'f')) + u64s({0}));
}

enum class Arguments { right_or_withheld, any };

/// Each record found is one of the originals. Returns how many are missing.
std::size_t missing(const std::vector<Found>& found, const std::vector<Found>& originals,
                    const std::string& what, Arguments arguments = Arguments::right_or_withheld) {
  std::map<std::int64_t, Found> by_time;
  for (const Found& record : originals) by_time[record.time_ns] = record;
  for (const Found& record : found) {
    const auto original = by_time.extract(record.time_ns);
    EXPECT_FALSE(original.empty())
        << what << ": a record twice or from nowhere at " << record.time_ns;
    if (original.empty()) continue;
    EXPECT_EQ(record.event, original.mapped().event) << what;
    if (record.arguments && arguments == Arguments::right_or_withheld) {
      EXPECT_EQ(record.arguments, original.mapped().arguments) << what;
    }
  }
  return by_time.size();
}

TEST(SimpleDecoderDamage, ForeignBytesAnywhereCostAtMostTheRecordWhoseHeadTheyHit) {
  const auto trace = small_trace();
  const Decoded intact(trace.bytes, trace.bytes.size());
  const std::vector<std::string> garbage{
      "x",       "garbage",          std::string(8, '\0'),   std::string(100, '\xff'),
      u64s({1}), u64s({0, 0, 1, 1}), std::string(5000, '\0')};
  for (const std::string& bytes : garbage) {
    // From the third record on, because by then the stream and the catalog are known; up to the
    // last one, because what is behind it is no damage yet, but torn.
    for (std::size_t at = trace.starts[2]; at <= trace.starts.back(); ++at) {
      for (const std::size_t piece : {std::size_t{13}, std::size_t{100'000}}) {
        const std::string what = std::to_string(bytes.size()) + " bytes at " + std::to_string(at);
        const Decoded run(std::string(trace.bytes).insert(at, bytes), piece);
        const auto& stats = run.decoder.stats();
        // Which record, and how deep in it.
        const auto hit = *std::prev(std::upper_bound(trace.starts.begin(), trace.starts.end(), at));
        const bool head_is_hit = at > hit && at < hit + 32;
        // When the data ends right behind a record, what follows is not known yet.
        const auto arguments = piece > 1000 ? Arguments::right_or_withheld : Arguments::any;
        EXPECT_LE(missing(run.sink.records, intact.sink.records, what, arguments),
                  head_is_hit ? 1U : 0U)
            << what;
        EXPECT_GE(stats.resyncs + errors(stats, DecodeError::unknown_event), 1U) << what;
        EXPECT_EQ(errors(stats, DecodeError::bad_record) + errors(stats, DecodeError::bad_mapping),
                  stats.resyncs)
            << what;
        EXPECT_EQ(stats.lost_bytes > 0, stats.resyncs > 0) << what;
        EXPECT_EQ(std::count(run.sink.losses.begin(), run.sink.losses.end(), 0),
                  static_cast<long>(stats.resyncs))
            << what;
      }
    }
  }
}

TEST(SimpleDecoderDamage, MissingBytesNeverAddAWrongArgument) {
  auto trace = small_trace();
  const std::size_t last_start = trace.starts.back();
  add_filler(trace);
  const Decoded intact(trace.bytes, trace.bytes.size());
  for (std::size_t at = trace.starts[2]; at < last_start; ++at) {
    for (const std::size_t count : {1U, 2U, 3U, 7U, 8U, 9U, 16U, 24U, 31U, 32U, 33U, 40U, 48U, 51U,
                                    64U, 80U, 83U, 99U, 131U}) {
      if (at + count > last_start) continue;
      const std::string what = std::to_string(count) + " bytes missing at " + std::to_string(at);
      const auto first = std::prev(std::upper_bound(trace.starts.begin(), trace.starts.end(), at));
      const auto last =
          std::prev(std::upper_bound(trace.starts.begin(), trace.starts.end(), at + count));
      // The beginning of one record and the rest of another that fits it exactly: nothing can tell,
      // see the class comment.
      if (at != *first &&
          (*last - *first == count || *std::next(last) - *std::next(first) == count))
        continue;
      const Decoded run(std::string(trace.bytes).erase(at, count), 100'000);
      const auto touched = static_cast<std::size_t>(last - first) + 1;
      EXPECT_LE(missing(run.sink.records, intact.sink.records, what), touched) << what;
    }
  }
}

TEST(SimpleDecoderDamage, FlippedBitsNeitherCrashNorStallNorMultiply) {
  const auto trace = small_trace();
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937 random(seed);
    std::string bytes = trace.bytes;
    for (unsigned flips = 1 + seed % 8; flips > 0; --flips)
      bytes[random() % bytes.size()] ^= static_cast<char>(1U << random() % 8);

    const Decoded run(bytes, 1 + random() % 300);

    EXPECT_LE(run.sink.records.size(), 12U) << seed;
    EXPECT_LE(run.rest.size(), decode_bytes_max) << seed;
  }
}

TEST(SimpleDecoderDamage, OneFlippedBitCostsAtMostOneRecord) {
  auto trace = small_trace();
  const std::size_t end = trace.bytes.size();
  add_filler(trace);
  for (std::size_t at = trace.starts.front(); at < end; ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string bytes = trace.bytes;
      bytes[at] ^= static_cast<char>(1U << bit);
      const Decoded run(bytes, bytes.size());
      EXPECT_GE(run.sink.records.size(), 11 + filler_records) << "byte " << at << " bit " << bit;
    }
  }
}

TEST(SimpleDecoderDamage, ADamagedMappingCostsOnlyItsEvent) {
  const auto trace = small_trace();
  for (std::size_t at = 24; at < trace.starts.front(); ++at) {
    const Decoded run(std::string(trace.bytes).insert(at, "?!"), 1000);
    EXPECT_GE(run.sink.records.size(), 8U) << at;
    EXPECT_GE(run.decoder.stats().resyncs, 1U) << at;
  }
}

TEST(SimpleDecoderDamage, NamesThatCannotBeAreBadMappings) {
  auto trace = head();
  trace.mapping(3, "not a name").event(0, 1, "").event(0, 2, "");

  const Decoded run(trace.bytes, trace.bytes.size());

  EXPECT_EQ(errors(run.decoder.stats(), DecodeError::bad_mapping), 1U);
  EXPECT_EQ(run.sink.records.size(), 2U);
}

TEST(SimpleDecoderDamage, AnArgumentThatLooksLikeAMappingIsNotTakenForOne) {
  auto trace = head();
  // Damage in front of 0, 1, "none": the arguments of an event, or a mapping that calls event 1
  // "none".
  trace.event(0, 1, "")
      .text("damage")
      .u64(0)
      .u64(1)
      .text(string("none"))
      .event(1, 2, u64s({5, 6}))
      .event(0, 3, "");

  const Decoded run(trace.bytes, trace.bytes.size());

  ASSERT_EQ(run.sink.records.size(), 3U);
  EXPECT_EQ(run.sink.records[1].event, "numbers");
}

TEST(SimpleDecoderDamage, ALengthThatReachesIntoTheNextRecordsDoesNotHideThem) {
  auto trace = head();
  trace.event(0, 1, "")
      .event(1, 2, u64s({1, 2}))
      .event(1, 3, u64s({3, 4}))
      .event(0, 4, "")
      .event(0, 5, "");
  trace.bytes[trace.starts[1] + 24] = 24 + 16 + 40;

  const Decoded run(trace.bytes, trace.bytes.size());

  EXPECT_EQ(run.sink.records.size(), 5U);
  EXPECT_EQ(run.sink.records.at(1).arguments, std::nullopt);
  EXPECT_EQ(run.decoder.mismatches(), 0U) << "damage is not the catalog's fault";
}

TEST(SimpleDecoderDamage, GoesOnWhenTheProcessIdOrTheClockChangesWithoutAHeader) {
  const std::uint64_t year = 365ULL * 24 * 3600 * 1'000'000'000;
  auto trace = head();
  trace.event(0, 1, "", 10).event(0, 2, "", 10);
  trace.event(0, 3, "", 11).event(0, 4, "", 11).event(0, 5, "", 11);
  trace.event(0, year, "", 11).event(0, year + 1, "", 11);

  for (const std::size_t piece : {std::size_t{1}, trace.bytes.size()}) {
    const Decoded run(trace.bytes, piece);
    EXPECT_EQ(run.sink.records.size(), 7U);
    EXPECT_EQ(run.decoder.stats().resyncs, 2U);
  }
}

TEST(SimpleDecoderDamage, PassesOverMegabytesOfNothing) {
  auto trace = head();
  trace.event(0, 1, "").event(0, 1, "");
  trace.text(std::string(8 * decode_bytes_max, '\0')).event(0, 2, "").event(0, 3, "");

  const Decoded run(trace.bytes, decode_bytes_max);

  EXPECT_EQ(run.sink.records.size(), 4U);
  EXPECT_EQ(run.decoder.stats().lost_bytes, 8 * decode_bytes_max);
  EXPECT_EQ(run.decoder.stats().resyncs, 1U);
}

TEST(SimpleDecoderDamage, AlwaysMakesProgressWithAFullBuffer) {
  std::mt19937 random(1);
  // Words that the format is made of, in any order: the worst that a search can meet.
  const std::vector<std::uint64_t> words{0,
                                         1,
                                         2,
                                         24,
                                         40,
                                         ~std::uint64_t{0},
                                         ~std::uint64_t{0} - 1,
                                         0xf2b177cb0aa429b4U,
                                         4,
                                         (std::uint64_t{4711} << 32U) + 8192};
  auto trace = small_trace();
  while (trace.bytes.size() < 4 * decode_bytes_max) trace.u64(words[random() % words.size()]);
  Decoded run;
  std::string_view left = trace.bytes;
  while (left.size() >= decode_bytes_max) {
    const auto used = run.decoder.decode(left.substr(0, decode_bytes_max), run.sink);
    ASSERT_GT(used, 0U);
    left.remove_prefix(used);
  }
}

}  // namespace
}  // namespace qemon::trace
