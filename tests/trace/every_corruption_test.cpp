// Traces in which every byte, one at a time, is another one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include "tests/trace/decoding.hpp"
#include "tests/trace/recorded.hpp"
#include "tests/trace/test_catalogs.hpp"

namespace qemon::trace {
namespace {

using test::byte_stride;
using test::Decoding;
using test::errors;
using test::Found;
using test::SimpleTrace;
using test::string;
using test::u64s;

/// What a byte is made: every bit another one, and all of them; with QEMON_TEST_ALL_VALUES in the
/// environment everything that there is, which takes minutes.
std::vector<char> damaged_values(char byte) {
  std::vector<char> values{'\0', '\xff'};
  for (unsigned bit = 0; bit < 8; ++bit)
    values.push_back(static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << bit)));
  if (std::getenv("QEMON_TEST_ALL_VALUES") != nullptr) {
    values.clear();
    for (unsigned value = 0; value < 256; ++value) values.push_back(static_cast<char>(value));
  }
  return values;
}

/// Each byte from `from` to `to`, one at a time, becomes each of these.
template <typename Check>
void corrupt(const std::string& bytes, std::size_t from, std::size_t to, Check check) {
  for (std::size_t at = from; at < to; at += byte_stride) {
    for (const char value : damaged_values(bytes[at])) {
      if (value == bytes[at]) continue;
      std::string damaged = bytes;
      damaged[at] = value;
      check(damaged, at,
            "byte " + std::to_string(at) + " is " +
                std::to_string(static_cast<unsigned>(static_cast<unsigned char>(value))));
      if (testing::Test::HasFailure()) return;
    }
  }
}

/// What the records of a sound trace have become.
struct Fate {
  std::size_t lost = 0;      ///< Not given out.
  std::size_t withheld = 0;  ///< Given out without arguments.
  std::size_t changed = 0;   ///< With another event, time, process or argument.
  std::size_t more = 0;      ///< That there were not.
};

/// Lays the records one beside the other. Only those from `first` to `last`, whose bytes were
/// changed, may be others or missing, and no more than one of them may have become two.
Fate compare(const std::vector<Found>& found, const std::vector<Found>& sound, std::size_t first,
             std::size_t last, const std::string& what) {
  Fate fate;
  const std::size_t behind = sound.size() - 1 - last;
  const auto without_arguments = [](Found record) {
    record.arguments.reset();
    return record;
  };
  const auto look = [&](const Found& is, const Found& was, bool damaged) {
    if (is == was) return;
    if (is == without_arguments(was)) {
      ++fate.withheld;
    } else {
      ++fate.changed;
      EXPECT_TRUE(damaged) << what << ": another record, at " << was.time_ns;
    }
  };
  EXPECT_GE(found.size(), first + behind) << what << ": others are missing";
  EXPECT_LE(found.size(), sound.size() + 1) << what << ": there are records from nowhere";
  if (found.size() < first + behind) return fate;
  for (std::size_t i = 0; i < first; ++i) look(found[i], sound[i], false);
  for (std::size_t i = 1; i <= behind; ++i)
    look(found[found.size() - i], sound[sound.size() - i], false);
  const std::size_t left = found.size() - first - behind;
  const std::size_t were = last - first + 1;
  for (std::size_t i = 0; i < std::min(left, were); ++i)
    look(found[first + i], sound[first + i], true);
  fate.lost = were - std::min(left, were);
  fate.more = left - std::min(left, were);
  return fate;
}

/// Damage to a head or a length may make the decoder wait for a whole record more than there is, so
/// sound ones follow, up to the longest there may be.
SimpleTrace with_filler(SimpleTrace trace, std::uint64_t id, std::uint64_t time,
                        std::string_view arguments, std::uint32_t pid) {
  const std::size_t enough = trace.bytes.size() + 9000;
  while (trace.bytes.size() < enough) trace.event(id, ++time, arguments, pid);
  return trace;
}

/// Bytes of a record's head, from where it begins.
constexpr std::size_t id_at = 8, time_at = 16, length_at = 24, arguments_at = 32;

/// What single damaged bytes of records can do, and no more:
/// * In the type, length or process id: that record may be lost, which is then counted.
/// * In the event id: it may pass for another event of this trace that has as many bytes of
///   arguments (nothing can tell), or it is counted as unknown or lost.
/// * In the time: that time is another one, or the record is lost, and counted.
/// * In the arguments: they are others, or withheld, which is counted as a resync or a mismatch.
/// All other records are given out, each once, in order, with their own values. Those of the
/// damaged record and of the one before it may be withheld.
void corrupt_records(const Catalog& catalog, const SimpleTrace& trace, std::size_t end) {
  Decoding<SimpleDecoder> sound(catalog);
  sound.feed(trace.bytes);
  ASSERT_EQ(sound.sink.records.size(), trace.starts.size());
  ASSERT_EQ(errors(sound.decoder.stats()), 0U);
  Fate most;
  corrupt(trace.bytes, trace.starts.front(), end,
          [&](const std::string& bytes, std::size_t at, const std::string& what) {
            const auto behind = std::upper_bound(trace.starts.begin(), trace.starts.end(), at);
            const auto hit = static_cast<std::size_t>(behind - trace.starts.begin()) - 1;
            Decoding<SimpleDecoder> run(catalog);
            run.feed(bytes);

            const Fate fate = compare(run.sink.records, sound.sink.records, hit, hit, what);
            const auto& stats = run.decoder.stats();
            EXPECT_EQ(run.rest, "") << what;
            EXPECT_LE(fate.lost, 1U) << what;
            EXPECT_LE(fate.withheld, 2U) << what;
            EXPECT_EQ(fate.more, 0U) << what;
            EXPECT_EQ(stats.records, run.sink.records.size()) << what;
            EXPECT_TRUE(fate.lost == 0 || errors(stats) > 0) << what;
            EXPECT_TRUE(fate.withheld == 0 || stats.resyncs + run.decoder.mismatches() > 0) << what;
            if (fate.changed > 0) {
              const std::size_t place = at - trace.starts[hit];
              EXPECT_TRUE((place >= id_at && place < length_at) || place >= arguments_at) << what;
              const Found& now = run.sink.records.at(hit);
              const Found& was = sound.sink.records.at(hit);
              EXPECT_EQ(now.event == was.event, place >= time_at) << what;
              EXPECT_EQ(now.time_ns == was.time_ns, place < time_at || place >= length_at) << what;
              EXPECT_EQ(now.id, was.id) << what;
            }
            most.lost = std::max(most.lost, fate.lost);
            most.withheld = std::max(most.withheld, fate.withheld);
            most.changed = std::max(most.changed, fate.changed);
          });
  EXPECT_EQ(most.lost, 1U) << "the bounds above are no bounds";
  EXPECT_EQ(most.changed, 1U);
}

TEST(EveryCorruption, OfARecordedRecordTouchesNoOther) {
  const SimpleTrace recorded = test::recorded_simple(20);
  const std::size_t end = recorded.bytes.size();
  std::uint64_t last_time = 0;
  std::uint64_t id = 0;
  std::uint32_t pid = 0, length = 0;
  std::memcpy(&id, recorded.bytes.data() + recorded.starts.back() + id_at, sizeof id);
  std::memcpy(&last_time, recorded.bytes.data() + recorded.starts.back() + time_at,
              sizeof last_time);
  std::memcpy(&length, recorded.bytes.data() + recorded.starts.back() + length_at, sizeof length);
  std::memcpy(&pid, recorded.bytes.data() + recorded.starts.back() + length_at + 4, sizeof pid);
  const std::string arguments =
      recorded.bytes.substr(recorded.starts.back() + arguments_at, length - 24);

  corrupt_records(test::recorded_catalog(), with_filler(recorded, id, last_time, arguments, pid),
                  end);
}

TEST(EveryCorruption, OfARecordWithStringsTouchesNoOther) {
  SimpleTrace trace;
  trace.header().mapping(0, "none").mapping(1, "numbers").mapping(2, "text");
  for (std::uint64_t i = 0; i < 8; ++i) {
    trace.event(2, 1'000'000 + 10 * i, string("drive-" + std::to_string(i)) + u64s({i}));
    trace.event(1, 1'000'001 + 10 * i, u64s({i, 0x7f0012345678 + i}));
    trace.event(2, 1'000'002 + 10 * i, string(std::string(30 * i, 's')) + u64s({0}));
  }
  const std::size_t end = trace.bytes.size();
  corrupt_records(test::made_catalog(), with_filler(trace, 1, 2'000'000, u64s({1, 2}), 4711), end);
}

/// A damaged header is refused as a whole, and that is counted.
TEST(EveryCorruption, OfAHeaderIsRefused) {
  const Catalog catalog = test::made_catalog();
  const SimpleTrace trace = test::made_trace();
  corrupt(trace.bytes, 0, 24, [&](const std::string& bytes, std::size_t, const std::string& what) {
    Decoding<SimpleDecoder> run(catalog);
    run.feed(bytes);

    EXPECT_EQ(run.sink.records.size(), 0U) << what;
    EXPECT_EQ(run.rest, "") << what;
    EXPECT_EQ(errors(run.decoder.stats()), 1U) << what;
    EXPECT_NE(run.decoder.problem(), "") << what;
  });
}

/// A damaged mapping costs the records of its event, or gives them or those of one other event
/// another name. Those that have no name any more are counted.
TEST(EveryCorruption, OfAMappingTouchesNoThirdEvent) {
  const Catalog catalog = test::made_catalog();
  SimpleTrace trace;
  trace.header();
  std::vector<std::size_t> mappings;
  const std::vector<std::string> names{"none", "numbers", "text", "late"};
  for (const auto& name : names) {
    mappings.push_back(trace.bytes.size());
    trace.mapping(mappings.size() - 1, name);
  }
  const std::size_t end = trace.bytes.size();
  for (std::uint64_t i = 0; i < 5; ++i) {
    trace.event(0, 1000 + 10 * i, "").event(1, 1001 + 10 * i, u64s({i, 7}));
    trace.event(2, 1002 + 10 * i, string("s" + std::to_string(i)) + u64s({i}));
    trace.event(3, 1003 + 10 * i, u64s({i, i, i}));
  }
  Decoding<SimpleDecoder> sound(catalog);
  sound.feed(trace.bytes);
  ASSERT_EQ(sound.sink.records.size(), 20U);

  corrupt(trace.bytes, 24, end,
          [&](const std::string& bytes, std::size_t, const std::string& what) {
            Decoding<SimpleDecoder> run(catalog);
            run.feed(bytes);

            const auto& found = run.sink.records;
            std::set<std::string> touched;
            for (const Found& was : sound.sink.records) {
              Found without = was;
              without.arguments.reset();
              if (std::count(found.begin(), found.end(), was) +
                      std::count(found.begin(), found.end(), without) !=
                  1)
                touched.insert(was.event);
            }
            EXPECT_LE(touched.size(), 2U) << what << ": " << testing::PrintToString(touched);
            EXPECT_LE(found.size(), 20U) << what;
            EXPECT_TRUE(found.size() == 20 || errors(run.decoder.stats()) >= 1) << what;
            EXPECT_GE(found.size(), 15U) << what;
          });
}

/// Of what QEMU dropped the number may be another one, or unknown, which is counted.
TEST(EveryCorruption, OfADropTouchesNoRecord) {
  const Catalog catalog = test::made_catalog();
  SimpleTrace trace;
  trace.header().mapping(0, "none").mapping(1, "numbers").mapping(2, "text");
  for (std::uint64_t i = 0; i < 4; ++i) trace.event(1, 1000 + i, u64s({i, 7}));
  const std::size_t from = trace.bytes.size();
  trace.dropped(1003, 70'000);
  const std::size_t to = trace.bytes.size();
  trace = with_filler(trace, 1, 1004, u64s({8, 9}), 4711);
  Decoding<SimpleDecoder> sound(catalog);
  sound.feed(trace.bytes);
  ASSERT_EQ(sound.sink.losses, std::vector<std::uint64_t>{70'000});

  corrupt(trace.bytes, from, to,
          [&](const std::string& bytes, std::size_t at, const std::string& what) {
            Decoding<SimpleDecoder> run(catalog);
            run.feed(bytes);

            ASSERT_EQ(run.sink.records.size(), sound.sink.records.size()) << what;
            std::size_t withheld = 0;
            for (std::size_t i = 0; i < sound.sink.records.size(); ++i) {
              Found is = run.sink.records[i];
              if (!is.arguments) {
                ++withheld;
                is.arguments = sound.sink.records[i].arguments;
              }
              ASSERT_EQ(is, sound.sink.records[i]) << what;
            }
            EXPECT_LE(withheld, 1U) << what;
            ASSERT_EQ(run.sink.losses.size(), 1U) << what;
            const bool told = run.sink.losses.front() == 70'000;
            EXPECT_TRUE(told || at >= from + arguments_at || errors(run.decoder.stats()) > 0)
                << what;
          });
}

/// What single damaged bytes of a log can do, and no more:
/// * The record of that line may be another, be lost or be two; or, where it was the end of a line
///   that is no end any more, those of two lines become one.
/// * Each line that there is then is a record or counted as an error, so nothing goes uncounted but
///   the end of a line.
TEST(EveryCorruption, OfALogTouchesNoOtherLine) {
  const Catalog catalog = test::load_catalog(test::catalog_excerpt());
  const std::string log = test::recorded_log(200);
  Decoding<LogDecoder> sound(catalog);
  sound.feed(log);
  const auto lines = static_cast<std::size_t>(std::count(log.begin(), log.end(), '\n'));
  ASSERT_EQ(sound.sink.records.size(), lines);

  corrupt(log, 0, log.size(),
          [&](const std::string& bytes, std::size_t at, const std::string& what) {
            const auto hit = static_cast<std::size_t>(
                std::count(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
            const bool joined = log[at] == '\n';
            const bool split = bytes[at] == '\n';
            Decoding<LogDecoder> run(catalog);
            run.feed(bytes);

            const auto& stats = run.decoder.stats();
            const std::size_t last = joined ? std::min(hit + 1, lines - 1) : hit;
            const Fate fate = compare(run.sink.records, sound.sink.records, hit, last, what);
            EXPECT_LE(fate.lost, 1U) << what;
            EXPECT_LE(fate.lost + fate.withheld + fate.changed, joined ? 2U : 1U) << what;
            EXPECT_EQ(stats.records, run.sink.records.size()) << what;
            const bool last_line_has_no_end = joined && hit + 1 == lines;
            EXPECT_EQ(stats.records + errors(stats) + (last_line_has_no_end ? 1 : 0),
                      lines + (split ? 1 : 0) - (joined && !last_line_has_no_end ? 1 : 0))
                << what;
            EXPECT_EQ(run.rest.empty(), !last_line_has_no_end) << what;
          });
}

}  // namespace
}  // namespace qemon::trace
