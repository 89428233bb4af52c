// Traces that are split at every byte.
#include <gtest/gtest.h>

#include "tests/trace/decoding.hpp"
#include "tests/trace/recorded.hpp"
#include "tests/trace/test_catalogs.hpp"

namespace qemon::trace {
namespace {

using test::byte_stride;
using test::Decoding;

template <typename D>
void expect_equal(const Decoding<D>& split, const Decoding<D>& whole, const std::string& what) {
  ASSERT_EQ(split.sink.records, whole.sink.records) << what;
  ASSERT_EQ(split.sink.losses, whole.sink.losses) << what;
  ASSERT_EQ(split.rest, whole.rest) << what;
  const auto& one = split.decoder.stats();
  const auto& other = whole.decoder.stats();
  ASSERT_EQ(one.records, other.records) << what;
  ASSERT_EQ(one.errors, other.errors) << what;
  ASSERT_EQ(one.dropped_events, other.dropped_events) << what;
  ASSERT_EQ(one.resyncs, other.resyncs) << what;
  ASSERT_EQ(one.lost_bytes, other.lost_bytes) << what;
}

/// Split in two at every place, and into single bytes.
template <typename D>
void split_everywhere(const Catalog& catalog, std::string_view bytes, std::size_t records) {
  Decoding<D> whole(catalog);
  whole.feed(bytes);
  ASSERT_EQ(whole.sink.records.size(), records);
  for (std::size_t at = 0; at <= bytes.size(); at += byte_stride) {
    Decoding<D> split(catalog);
    split.feed(bytes.substr(0, at));
    split.feed(bytes.substr(at));
    expect_equal(split, whole, "split at " + std::to_string(at));
    if (testing::Test::HasFatalFailure()) return;
  }
  Decoding<D> single(catalog);
  for (const char byte : bytes) single.feed({&byte, 1});
  expect_equal(single, whole, "byte by byte");
}

constexpr std::string_view multi_line_log =
    "1@1.000001:porta a 0x1\nb 0x2\nc 0x3\n"
    "2026-11-22T20:17:07.141597Z porta a 0x4\nb 0x5\n"  // It ends at the next trace line.
    "1@1.000003:porta a 0x6\nb 0x7\nc 0x8\n"
    "warning: something\n\n"
    "1@1.000004:porta a 0x9\nb 0xa\nc 0xb\n";

Catalog multi_line_catalog() {
  return *Catalog::parse(
      "porta(uint16_t a, uint16_t b, uint16_t c) \"a 0x%x\\nb 0x%x\\nc 0x%x\"\n");
}

TEST(EverySplit, OfARecordedSimpleTraceGivesTheSame) {
  split_everywhere<SimpleDecoder>(test::recorded_catalog(), test::recorded_simple(100).bytes, 100);
}

TEST(EverySplit, OfASimpleTraceWithStringsDropsAndMappingsGivesTheSame) {
  split_everywhere<SimpleDecoder>(test::made_catalog(), test::made_trace().bytes, 27);
}

TEST(EverySplit, OfARecordedLogGivesTheSame) {
  const std::string log = test::recorded_log(80);
  split_everywhere<LogDecoder>(test::load_catalog(test::catalog_excerpt()), log, 35);
}

TEST(EverySplit, OfALogWithRecordsOfSeveralLinesGivesTheSame) {
  split_everywhere<LogDecoder>(multi_line_catalog(), multi_line_log, 4);
}

}  // namespace
}  // namespace qemon::trace
