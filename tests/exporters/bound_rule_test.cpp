#include "exporters/bound_rule.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/exporters/pack_run.hpp"

namespace qemon::exporters {
namespace {

using test::PackRun;

TEST(BoundRule, CountsRecordsWithoutAdd) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line}\n");

  run.feed("line irq 1 level 1\nline irq 2 level 0\nbare \n");

  EXPECT_EQ(run.samples("a_total"), "a_total 2\n");
}

TEST(BoundRule, AddsWhatTheExpressionGives) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: [disk_read, disk_write], add: n * 512}\n");

  run.feed("disk_read dev 0x1 sector 0 n 8\ndisk_write dev 0x1 sector 0 n 1\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 4608\n");
}

TEST(BoundRule, ShowsACounterWithAUnitInSeconds) {
  PackRun run;
  run.use(
      "  - {counter: a_seconds_total, help: A., events: line, add: level, unit: microseconds}\n");

  run.feed("line irq 1 level 1500000\nline irq 1 level 1\n");

  EXPECT_EQ(run.samples("a_seconds_total"), "a_seconds_total 1.500001\n");
}

TEST(BoundRule, LeavesOutWhatWouldMakeACounterGoBackAndCountsIt) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line, add: level}\n");

  run.feed("line irq 1 level 5\nline irq 1 level -3\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 5\n");
  EXPECT_EQ(run.samples("qemond_pack_evaluation_errors_total"),
            "qemond_pack_evaluation_errors_total{metric=\"a_total\",reason=\"negative\"} 1\n");
}

TEST(BoundRule, ACounterThatIsFullDoesNotBeginAtZeroAgain) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: disk_read, add: sector}\n");

  run.feed(
      "disk_read dev 0x1 sector 18446744073709551615 n 1\n"
      "disk_read dev 0x1 sector 1 n 1\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 18446744073709551616\n");
  EXPECT_EQ(run.samples("qemond_pack_evaluation_errors_total"),
            "qemond_pack_evaluation_errors_total{metric=\"a_total\",reason=\"overflow\"} 1\n");
}

TEST(BoundRule, MapsWithADefaultMakeNoMoreSeriesThanTheLimit) {
  PackRun run;
  run.use(
      "  - counter: a_total\n"
      "    help: A.\n"
      "    events: line\n"
      "    limit: 2\n"
      "    labels:\n"
      "      x: {argument: irq, decode: {map: {1: one, 2: two}, default: more}}\n"
      "      y: {argument: level, decode: {map: {1: one, 2: two}, default: more}}\n");

  for (int irq = 1; irq <= 3; ++irq)
    for (int level = 1; level <= 3; ++level)
      run.feed("line irq " + std::to_string(irq) + " level " + std::to_string(level) + "\n");

  EXPECT_EQ(run.samples("a_total"),
            "a_total{x=\"one\",y=\"one\"} 1\n"
            "a_total{x=\"one\",y=\"two\"} 1\n"
            "a_total{x=\"__other__\",y=\"__other__\"} 7\n");
  EXPECT_EQ(run.samples("qemond_series_overflow_total"),
            "qemond_series_overflow_total{metric=\"a_total\"} 7\n");
}

TEST(BoundRule, ARuleThatCannotBeUsedDeclaresNothing) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: line, labels: {of: line}}\n"
      "  - {counter: a_total, events: [disk_read, disk_done], when: n > 0, labels: {of: disk}}\n");

  EXPECT_NE(run.complaints(), "");
  EXPECT_EQ(run.samples("a_total"), "a_total{of=\"line\"} 0\n");
}

TEST(BoundRule, CountsWhyAnExpressionHasNoResult) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line, add: 10 / level, when: irq << irq}\n");

  run.feed(
      "line irq 1 level 0\n"
      "line irq 64 level 1\n"
      "line irq -1 level 1\n"
      "line nonsense\n"
      "line irq 1 level 2\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 5\n");
  EXPECT_EQ(run.engine.find("a_total")->errors,
            (std::array<std::uint64_t, evaluation_error_count>{0, 1, 2, 0, 1}));
}

TEST(BoundRule, LeavesOutRecordsForWhichWhenIsZero) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line, when: irq == 3 && level}\n");

  run.feed("line irq 3 level 1\nline irq 3 level 0\nline irq 4 level 1\nline irq 3 level -1\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 2\n");
}

TEST(BoundRule, NeedsNoArgumentsForACount) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line}\n");

  run.feed("line nonsense\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 1\n");
}

TEST(BoundRule, KeepsTheLastTheLeastOrTheGreatestValueOfAGauge) {
  PackRun run;
  run.use(
      "  - {gauge: last, help: A., events: line, value: level}\n"
      "  - {gauge: least, help: A., events: line, value: level, keep: min}\n"
      "  - {gauge: most, help: A., events: line, value: level, keep: max}\n");

  run.feed("line irq 1 level 5\nline irq 1 level -7\nline irq 1 level 3\n");

  EXPECT_EQ(run.samples("l"), "last 3\nleast -7\n");
  EXPECT_EQ(run.samples("m"), "most 5\n");
}

TEST(BoundRule, AGaugeIsAbsentUntilItsFirstRecord) {
  PackRun run;
  run.use(
      "  - {gauge: a, help: A., events: line, value: level, labels: {x: {argument: irq, values: "
      "[1, 2]}}}\n");

  EXPECT_EQ(run.samples("a"), "");
  run.feed("line irq 2 level 0\n");
  EXPECT_EQ(run.samples("a"), "a{x=\"2\"} 0\n");
}

TEST(BoundRule, AGaugeMayBeNegativeAndHaveAUnit) {
  PackRun run;
  run.use("  - {gauge: a_seconds, help: A., events: line, value: level, unit: milliseconds}\n");

  run.feed("line irq 1 level -250\n");

  EXPECT_EQ(run.samples("a_seconds"), "a_seconds -0.25\n");
}

TEST(BoundRule, ObservesIntoTheFirstBucketThatIsNotLess) {
  PackRun run;
  run.use("  - {histogram: a, help: A., events: line, observe: level, buckets: [10, 20]}\n");

  run.feed("line irq 1 level 0\nline irq 1 level 10\nline irq 1 level 11\nline irq 1 level 21\n");

  EXPECT_EQ(run.samples("a"),
            "a_count 4\n"
            "a_sum 42\n"
            "a_bucket{le=\"10\"} 2\n"
            "a_bucket{le=\"20\"} 3\n"
            "a_bucket{le=\"+Inf\"} 4\n");
}

TEST(BoundRule, LeavesNegativeObservationsOut) {
  PackRun run;
  run.use("  - {histogram: a, help: A., events: line, observe: level, buckets: [10]}\n");

  run.feed("line irq 1 level -1\n");

  EXPECT_EQ(run.samples("a_count"), "a_count 0\n");
  EXPECT_EQ(run.engine.find("a")->errors[static_cast<std::size_t>(EvaluationError::negative)], 1U);
}

TEST(BoundRule, ObservesTheGreatestNumbers) {
  PackRun run;
  run.use("  - {histogram: a, help: A., events: region, observe: addr, buckets: [10]}\n");

  run.feed("region name 'x' addr 0xffffffffffffffff size 4\n");
  run.feed("region name 'x' addr 0x8000000000000000 size 4\n");

  EXPECT_EQ(run.samples("a_bucket"), "a_bucket{le=\"10\"} 0\na_bucket{le=\"+Inf\"} 2\n");
}

TEST(BoundRule, CountsHitsOfAddressRanges) {
  PackRun run;
  run.use("  - {heatmap: a_total, help: A., events: region, address: addr, range: 256}\n");

  run.feed("region name 'x' addr 0x1ff size 4\nregion name 'x' addr 0x100 size 4\n");
  run.feed("region name 'x' addr 0x200 size 4\n");

  EXPECT_EQ(run.samples("a_total"),
            "a_total{address=\"0x100\"} 2\n"
            "a_total{address=\"0x200\"} 1\n"
            "a_total{address=\"__other__\"} 0\n");
}

TEST(BoundRule, CountsTheMostFrequentValues) {
  PackRun run;
  run.use(
      "  - {topk: a, help: A., events: region, value: addr, top: 2}\n"
      "  - {topk: b, help: B., events: region, value: size, decode: decimal, label: bytes}\n");

  run.feed("region name 'x' addr 0x1f size 4\nregion name 'x' addr 0x1f size 10\n");
  run.feed("region name 'x' addr 0x2f size 10\nregion name 'x' addr 0x3f size 10\n");

  EXPECT_EQ(run.samples("a{"), "a{value=\"0x1f\"} 2\na{value=\"0x2f\"} 1\n");
  EXPECT_EQ(run.samples("a_error"), "a_error{value=\"0x1f\"} 0\na_error{value=\"0x2f\"} 0\n");
  EXPECT_EQ(run.samples("b{"), "b{bytes=\"10\"} 3\nb{bytes=\"4\"} 1\n");
}

constexpr std::string_view latency_rule =
    "  - latency: a_seconds\n"
    "    help: A.\n"
    "    begin: [disk_read, disk_write]\n"
    "    end: disk_done\n"
    "    key: dev\n"
    "    buckets: [0.001, 1]\n";

TEST(BoundRule, MeasuresFromBeginToEnd) {
  PackRun run;
  run.use(latency_rule);

  run.feed(
      "9@100.000000:disk_read dev 0x1 sector 0 n 1\n"
      "9@100.000400:disk_write dev 0x2 sector 0 n 1\n"
      "9@100.001000:disk_done dev 0x1 status 0\n"
      "9@100.500400:disk_done dev 0x2 status 0\n");

  EXPECT_EQ(run.samples("a_seconds"),
            "a_seconds_count 2\n"
            "a_seconds_sum 0.501\n"
            "a_seconds_bucket{le=\"0.001\"} 1\n"
            "a_seconds_bucket{le=\"1\"} 2\n"
            "a_seconds_bucket{le=\"+Inf\"} 2\n");
  EXPECT_EQ(run.samples("qemond_pack_pairs_total"),
            "qemond_pack_pairs_total{metric=\"a_seconds\",outcome=\"matched\"} 2\n"
            "qemond_pack_pairs_total{metric=\"a_seconds\",outcome=\"orphan_end\"} 0\n"
            "qemond_pack_pairs_total{metric=\"a_seconds\",outcome=\"timed_out\"} 0\n"
            "qemond_pack_pairs_total{metric=\"a_seconds\",outcome=\"replaced\"} 0\n"
            "qemond_pack_pairs_total{metric=\"a_seconds\",outcome=\"over_limit\"} 0\n"
            "qemond_pack_pairs_total{metric=\"a_seconds\",outcome=\"discarded\"} 0\n");
}

PairCounts pairs_of(PackRun& run, const std::string& metric = "a_seconds") {
  return run.engine.find(metric)->pairs;
}

TEST(BoundRule, CountsWhatBecameOfPairs) {
  PackRun run;
  run.use(std::string(latency_rule) + "    timeout: 1s\n    in_flight: 2\n");

  run.feed(
      "9@1.000000:disk_done dev 0x1 status 0\n"  // orphan
      "9@1.000000:disk_read dev 0x1 sector 0 n 1\n"
      "9@1.000000:disk_read dev 0x1 sector 0 n 1\n"  // replaces
      "9@1.100000:disk_read dev 0x2 sector 0 n 1\n"
      "9@1.200000:disk_read dev 0x3 sector 0 n 1\n"  // over the limit
      "9@2.000000:disk_done dev 0x1 status 0\n"      // after just 1 s
      "9@2.100001:disk_done dev 0x2 status 0\n");    // after more: an orphan

  EXPECT_EQ(pairs_of(run), (PairCounts{1, 2, 1, 1, 1, 0}));
  EXPECT_EQ(run.samples("qemond_pack_pairs_in_flight"),
            "qemond_pack_pairs_in_flight{metric=\"a_seconds\"} 0\n");
}

TEST(BoundRule, KeysOfSeveralPartsMustAllBeTheSame) {
  PackRun run(
      "b(int x, int y) \"x %d y %d\"\n"
      "e(int x, int y) \"x %d y %d\"\n");
  run.use("  - {latency: a_seconds, help: A., begin: b, end: e, key: [x, y]}\n");

  run.feed(
      "9@1.000000:b x 1 y 2\n9@1.000000:e x 2 y 1\n9@1.000000:e x 1 y 3\n9@1.000000:e x 1 y 2\n");

  EXPECT_EQ(pairs_of(run), (PairCounts{1, 2, 0, 0, 0, 0}));
}

TEST(BoundRule, AnEndMayWriteItsKeyDifferently) {
  PackRun run(
      "b(int tag) \"tag %d\"\n"
      "e(int word) \"word %d\"\n");
  run.use("  - {latency: a_seconds, help: A., begin: b, end: e, key: tag, end_key: word >> 8}\n");

  run.feed("9@1.000000:b tag 3\n9@1.000000:e word 3\n9@1.000000:e word 769\n");

  EXPECT_EQ(pairs_of(run), (PairCounts{1, 1, 0, 0, 0, 0}));
}

TEST(BoundRule, WhenAndEndWhenChooseBeginsAndEnds) {
  PackRun run("step(int id, int on) \"id %d on %d\"\n");
  run.use(
      "  - {latency: a_seconds, help: A., begin: step, end: step, key: id, when: on == 1, "
      "end_when: on == 0}\n");

  run.feed("9@1.000000:step id 1 on 1\n9@1.500000:step id 1 on 2\n9@2.000000:step id 1 on 0\n");

  EXPECT_EQ(pairs_of(run), (PairCounts{1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(run.samples("a_seconds_sum"), "a_seconds_sum 1\n");
}

TEST(BoundRule, TakesLabelsOfTheBeginAndOfTheEnd) {
  PackRun run;
  run.use(std::string(latency_rule) +
          "    labels:\n"
          "      operation: {event: {disk_read: read, disk_write: write}}\n"
          "      size: {argument: n}\n"
          "      status: {argument: status, from: end, decode: {map: {0: ok}, default: bad}}\n");

  run.feed(
      "9@1.000000:disk_read dev 0x1 sector 0 n 7\n9@1.000000:disk_write dev 0x2 sector 0 n 8\n"
      "9@2.000000:disk_done dev 0x2 status 5\n9@2.000000:disk_done dev 0x1 status 0\n");

  EXPECT_EQ(run.complaints(), "");
  EXPECT_EQ(run.samples("a_seconds_count"),
            "a_seconds_count{operation=\"write\",size=\"8\",status=\"bad\"} 1\n"
            "a_seconds_count{operation=\"read\",size=\"7\",status=\"ok\"} 1\n");
}

TEST(BoundRule, ALabelByEventMayTellTheEnds) {
  PackRun run;
  run.use(
      "  - latency: a_seconds\n    help: A.\n    begin: disk_read\n    end: [disk_done, line]\n"
      "    key: 1\n    labels: {how: {event: {disk_done: good, line: bad}}}\n");

  run.feed("9@1.000000:disk_read dev 0x1 sector 0 n 7\n9@2.000000:line irq 1 level 1\n");

  EXPECT_EQ(run.complaints(), "");
  EXPECT_EQ(run.samples("a_seconds_count"),
            "a_seconds_count{how=\"good\"} 0\na_seconds_count{how=\"bad\"} 1\n");
}

TEST(BoundRule, DeclaresTheSeriesOfALatencyThatTheFileTells) {
  PackRun run;
  run.use(std::string(latency_rule) +
          "    labels:\n"
          "      operation: {event: {disk_read: read, disk_write: write}}\n"
          "      status: {argument: status, from: end, decode: {map: {0: ok}, default: bad}}\n");

  EXPECT_EQ(run.samples("a_seconds_count"),
            "a_seconds_count{operation=\"read\",status=\"ok\"} 0\n"
            "a_seconds_count{operation=\"read\",status=\"bad\"} 0\n"
            "a_seconds_count{operation=\"write\",status=\"ok\"} 0\n"
            "a_seconds_count{operation=\"write\",status=\"bad\"} 0\n");
}

TEST(BoundRule, AnEndBeforeItsBeginIsAnError) {
  PackRun run;
  run.use(latency_rule);

  run.feed(
      "9@2.000000:disk_read dev 0x1 sector 0 n 1\n"
      "9@1.000000:disk_done dev 0x1 status 0\n");

  EXPECT_EQ(run.samples("a_seconds_count"), "a_seconds_count 0\n");
  EXPECT_EQ(
      run.engine.find("a_seconds")->errors[static_cast<std::size_t>(EvaluationError::negative)],
      1U);
}

TEST(BoundRule, ABeginWithoutATimeIsNotUsed) {
  PackRun run;
  run.use(latency_rule);

  run.feed("disk_read dev 0x1 sector 0 n 1\n9@2.000000:disk_done dev 0x1 status 0\n");

  EXPECT_EQ(pairs_of(run), (PairCounts{0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(run.engine.find("a_seconds")->untimed_records, 1U);
}

// Strings of begins whose end never comes must not pile up: they may come from the guest.
TEST(BoundRule, ForgetsNoLimitOverLabelsOfBeginsWithoutAnEnd) {
  PackRun run;
  run.use(
      "  - {latency: a_seconds, help: A., begin: region, end: disk_done, key: addr, end_key: "
      "status, limit: 10, in_flight: 1, labels: {name: {argument: name}}}\n");

  for (int i = 0; i < 1000; ++i)
    run.feed("9@1.000000:region name 'r" + std::to_string(i) + "' addr 0x1 size 4\n");
  run.feed("9@2.000000:disk_done dev 0x1 status 1\n");

  EXPECT_EQ(run.complaints(), "");
  EXPECT_EQ(run.samples("a_seconds_count"), "a_seconds_count{name=\"__other__\"} 1\n");
}

}  // namespace
}  // namespace qemon::exporters
