#include "exporters/engine.hpp"

#include <gtest/gtest.h>

#include "tests/exporters/pack_run.hpp"

namespace qemon::exporters {
namespace {

using test::pack_text;
using test::PackRun;

constexpr std::string_view latency_rule =
    "  - latency: a_seconds\n"
    "    help: A.\n"
    "    begin: disk_read\n"
    "    end: disk_done\n"
    "    key: dev\n";
constexpr std::string_view begin = "9@1.000000:disk_read dev 0x1 sector 0 n 1\n";
constexpr std::string_view end = "9@2.000000:disk_done dev 0x1 status 0\n";

PairCounts matched() {
  return {1, 0, 0, 0, 0, 0};
}
/// One pair was discarded, so that its end was an orphan.
PairCounts discarded() {
  return {0, 1, 0, 0, 0, 1};
}

TEST(Engine, CountsEventsWithoutAnyPack) {
  PackRun run;

  run.feed("line irq 1 level 1\nbare \nbare \n");

  EXPECT_EQ(run.engine.counters().records(), 3U);
  EXPECT_EQ(run.engine.counters().count(*run.events.find("bare")), 2U);
  EXPECT_EQ(run.page(), "");
}

TEST(Engine, RunsSeveralRulesOfOneEvent) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: line}\n"
      "  - {counter: b_total, help: B., events: line, add: level}\n"
      "  - {counter: a_total, events: bare}\n");

  run.feed("line irq 1 level 7\nbare \n");

  EXPECT_EQ(run.samples("a_total") + run.samples("b_total"), "a_total 2\nb_total 7\n");
}

// The rule that needs no arguments must not lose the record that the other one cannot read.
TEST(Engine, CountsARecordWhoseArgumentsCannotBeReadWhereTheyAreNotNeeded) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: line}\n"
      "  - {counter: b_total, help: B., events: line, add: level}\n");

  run.feed("line nonsense\n");

  EXPECT_EQ(run.samples("a_total") + run.samples("b_total"), "a_total 1\nb_total 0\n");
  EXPECT_EQ(run.samples("qemond_pack_evaluation_errors_total"),
            "qemond_pack_evaluation_errors_total{metric=\"b_total\",reason=\"arguments\"} 1\n");
}

TEST(Engine, TakesTheFirstAlternativeThatTheVmHas) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: [[newest, line, bare], disk_read]}\n");

  run.feed("line irq 1 level 1\nbare \ndisk_read dev 0x1 sector 0 n 1\n");

  EXPECT_EQ(run.complaints(), "");
  EXPECT_EQ(run.samples("a_total"), "a_total 2\n");
}

TEST(Engine, LeavesOutEventsThatAreCompiledOut) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: [[off, line]]}\n"
      "  - {counter: b_total, help: B., events: off}\n");

  run.feed("line irq 1 level 1\n");

  EXPECT_EQ(run.complaints(), "b_total not offered: lacks the event off\n");
  EXPECT_EQ(run.samples("a_total"), "a_total 1\n");
}

TEST(Engine, SaysWhichMetricsTheVmCannotOffer) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: [x1, [x2, x3], x4, x5, x6]}\n"
      "  - {latency: b_seconds, help: B., begin: line, end: [y1, y2], key: irq}\n"
      "  - {counter: c_total, help: C., events: x1}\n"
      "  - {counter: c_total, events: line}\n");

  EXPECT_EQ(run.complaints(),
            "a_total not offered: has none of the events x1, x2, x3, x4 and 2 more\n"
            "b_seconds not offered: has none of the events y1, y2\n");
  EXPECT_EQ(run.samples("a_total") + run.samples("b_seconds"), "");
}

TEST(Engine, NeedsTheEventsOfRulesThatCanBeUsed) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: [line, bare, missing]}\n"
      "  - {counter: b_total, help: B., events: region, add: nothing_like_it}\n"
      "  - {counter: c_total, help: C., events: line}\n");

  const auto needed = run.engine.bound("test")->needed_events();

  EXPECT_EQ(needed,
            (std::vector<trace::EventIndex>{*run.events.find("line"), *run.events.find("bare")}));
}

TEST(Engine, MatchesAPairThatNothingDisturbs) {
  PackRun run;
  run.use(latency_rule);

  run.feed(begin);
  run.feed(end);

  EXPECT_EQ(run.engine.find("a_seconds")->pairs, matched());
}

TEST(Engine, ALossDiscardsWhatIsInFlight) {
  PackRun run;
  run.use(latency_rule);

  run.feed(begin);
  run.engine.on_loss(3);
  run.feed(end);

  EXPECT_EQ(run.engine.find("a_seconds")->pairs, discarded());
  EXPECT_EQ(run.engine.counters().lost_events(), 3U);
}

TEST(Engine, ARestartDiscardsWhatIsInFlight) {
  PackRun run;
  run.use(latency_rule);

  run.feed(begin);
  run.engine.on_restart();
  run.feed(end);

  EXPECT_EQ(run.engine.find("a_seconds")->pairs, discarded());
}

TEST(Engine, AResetDiscardsWhatIsInFlight) {
  PackRun run;
  run.use(latency_rule);

  run.feed(begin);
  run.engine.discard_pairs();
  run.feed(end);

  EXPECT_EQ(run.engine.find("a_seconds")->pairs, discarded());
}

TEST(Engine, SwitchingAnEventDiscardsWhatDependsOnIt) {
  for (const std::string_view event : {"disk_read", "disk_done"}) {
    PackRun run;
    run.use(latency_rule);

    run.feed(begin);
    run.engine.event_switched(*run.events.find(event));
    run.feed(end);

    EXPECT_EQ(run.engine.find("a_seconds")->pairs, discarded()) << event;
  }
}

TEST(Engine, SwitchingAnotherEventDisturbsNothing) {
  PackRun run;
  run.use(latency_rule);

  run.feed(begin);
  run.engine.event_switched(*run.events.find("line"));
  run.engine.event_switched(1000);
  run.feed(end);

  EXPECT_EQ(run.engine.find("a_seconds")->pairs, matched());
}

TEST(Engine, TellsWhatIsInFlight) {
  PackRun run;
  run.use(std::string(latency_rule) +
          "  - {latency: a_seconds, begin: disk_write, end: disk_done, key: dev}\n");

  run.feed(begin);
  run.feed("9@1.000000:disk_write dev 0x2 sector 0 n 1\n");

  EXPECT_EQ(run.samples("qemond_pack_pairs_in_flight"),
            "qemond_pack_pairs_in_flight{metric=\"a_seconds\"} 2\n");
}

TEST(Engine, UsingThePacksAgainDisturbsNothing) {
  PackRun run;
  run.use(latency_rule);
  run.feed(begin);

  const bool changed = run.engine.use(run.packs);
  run.feed(end);

  EXPECT_FALSE(changed);
  EXPECT_EQ(run.engine.find("a_seconds")->pairs, matched());
}

TEST(Engine, AnotherPackDisturbsNothing) {
  PackRun run;
  run.use(latency_rule);
  run.feed(begin);

  run.packs.insert(
      run.packs.begin(),
      test::parse(pack_text("  - {counter: b_total, help: B., events: disk_done}\n", "other")));
  EXPECT_TRUE(run.engine.use(run.packs));
  run.feed(end);
  run.packs.erase(run.packs.begin());
  EXPECT_TRUE(run.engine.use(run.packs));
  run.feed(begin);
  run.feed(end);

  EXPECT_EQ(run.engine.find("a_seconds")->pairs, (PairCounts{2, 0, 0, 0, 0, 0}));
  EXPECT_EQ(run.samples("b_total"), "b_total 1\n");
}

TEST(Engine, AChangedPackKeepsItsCounters) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line}\n");
  run.feed("line irq 1 level 7\n");

  run.use("  - {counter: a_total, help: Another., events: line, add: level}\n");
  run.feed("line irq 1 level 7\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 8\n");
  EXPECT_EQ(run.samples("# HELP a_total"), "# HELP a_total Another.\n");
}

TEST(Engine, AChangedPackDiscardsWhatIsInFlightAndCountsIt) {
  PackRun run;
  run.use(latency_rule);
  run.feed(begin);

  run.use(std::string(latency_rule) + "    timeout: 10s\n");
  run.feed(end);

  EXPECT_EQ(run.engine.find("a_seconds")->pairs, discarded());
}

TEST(Engine, AMetricOfAnotherShapeBeginsAnew) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line}\n");
  run.feed("line irq 1 level 7\n");

  run.use("  - {counter: a_total, help: A., events: line, labels: {irq: {argument: irq}}}\n");
  run.feed("line irq 1 level 7\n");

  EXPECT_EQ(run.samples("a_total"), "a_total{irq=\"1\"} 1\n");
}

TEST(Engine, ALatencyOfAnotherShapeBeginsAnew) {
  PackRun run;
  run.use(latency_rule);
  run.feed(begin);

  run.use(std::string(latency_rule) + "    buckets: [1]\n");
  run.feed(end);
  run.feed(begin);
  run.feed(end);

  EXPECT_EQ(run.engine.find("a_seconds")->pairs, (PairCounts{1, 1, 0, 0, 0, 0}));
}

// The library does not load two packs that disagree on a metric; if it comes to that, the one that
// goes on must not write into what is gone.
TEST(Engine, PacksThatDisagreeOnAMetricDoNoHarm) {
  PackRun run;
  const auto plain =
      test::parse(pack_text("  - {counter: a_total, help: A., events: line}\n", "one"));
  const auto labelled = test::parse(
      pack_text("  - {counter: a_total, help: A., events: line, labels: {x: y}}\n", "two"));
  const std::vector first{plain}, both{plain, labelled};
  run.engine.use(first);

  run.engine.use(both);
  run.feed("line irq 1 level 7\n");
  run.engine.use(both);
  run.feed("line irq 1 level 7\n");

  EXPECT_EQ(run.samples("a_total"), "a_total{x=\"y\"} 2\n");
}

TEST(Engine, APackThatIsOffKeepsItsMetricsAsTheyAre) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line}\n");
  run.feed("line irq 1 level 7\n");

  EXPECT_TRUE(run.engine.use({}));
  run.feed("line irq 1 level 7\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 1\n");
  EXPECT_EQ(run.engine.bound("test"), nullptr);
}

TEST(Engine, APackThatIsOnAgainGoesOn) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line, labels: {irq: {argument: irq}}}\n");
  run.feed("line irq 1 level 7\n");

  run.engine.use({});
  run.engine.use(run.packs);
  run.feed("line irq 1 level 7\nline irq 2 level 7\n");

  EXPECT_EQ(run.samples("a_total"), "a_total{irq=\"1\"} 2\na_total{irq=\"2\"} 1\n");
}

TEST(Engine, APackThatIsOffHasNothingInFlight) {
  PackRun run;
  run.use(latency_rule);
  run.feed(begin);

  run.engine.use({});

  EXPECT_EQ(run.engine.find("a_seconds")->pairs, (PairCounts{0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(run.samples("qemond_pack_pairs_in_flight"),
            "qemond_pack_pairs_in_flight{metric=\"a_seconds\"} 0\n");
}

TEST(Engine, UsesWhatACatalogTellsLater) {
  PackRun run(test::test_catalog, false);
  run.use("  - {counter: a_total, help: A., events: line, add: level}\n");
  run.feed("line irq 1 level 7\n");

  run.events.use_catalog(&run.catalog);
  EXPECT_TRUE(run.engine.use(run.packs));
  run.feed("line irq 1 level 7\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 7\n");
  EXPECT_TRUE(run.engine.bound("test")->mistakes().empty());
}

TEST(Engine, UsesEventsThatTheVmHasLater) {
  PackRun run("line(int irq, int level) \"irq %d level %d\"\n");
  run.use("  - {counter: a_total, help: A., events: [line, late]}\n");
  run.feed("line irq 1 level 7\nlate \n");

  run.events.add("late");
  EXPECT_TRUE(run.engine.use(run.packs));
  run.feed("line irq 1 level 7\nlate \n");

  EXPECT_EQ(run.samples("a_total"), "a_total 3\n");
}

// The table keeps the events of the QEMU before.
TEST(Engine, LeavesOutEventsThatOnlyAnEarlierQemuHad) {
  PackRun run;
  const std::string_view rules =
      "  - {counter: a_total, help: A., events: [[bare, line]]}\n"
      "  - {counter: b_total, help: B., events: bare}\n";
  run.use(rules);
  const auto other =
      trace::Catalog::parse("line(int irq, int level) \"irq %d level %d\"\n").value();

  run.events.begin_process(std::make_shared<const trace::EventNames>(std::vector<std::string>{}));
  run.events.add("line");
  run.events.use_catalog(&other);
  run.use(rules);
  run.feed("line irq 1 level 1\n");

  EXPECT_EQ(run.complaints(), "b_total not offered: lacks the event bare\n");
  EXPECT_EQ(run.samples("a_total"), "a_total 1\n");
}

// Devices are told by addresses, which are others in each process: without this every start of a VM
// would add series, until there is no room for more.
TEST(Engine, WhatAddressesTellBeginsAnewInAnotherProcess) {
  const std::string overflow = "qemond_series_overflow_total{metric=\"a_total\"} 1\n";
  const std::string errors =
      "qemond_pack_evaluation_errors_total{metric=\"a_total\",reason=\"arguments\"} 1\n";
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: disk_read, limit: 1, labels: {device: {argument: "
      "dev, "
      "decode: hex}}}\n"
      "  - {topk: b, help: B., events: disk_read, value: dev}\n"
      "  - {counter: c_total, help: C., events: disk_read, labels: {size: {argument: n, decode: "
      "size}}}\n");
  run.feed("disk_read dev 0x1 sector 0 n 1\ndisk_read dev 0x2 sector 0 n 1\n");
  run.feed("disk_read dev nonsense\n");
  ASSERT_EQ(run.samples("a_total"), "a_total{device=\"0x1\"} 1\na_total{device=\"__other__\"} 1\n");

  run.engine.begin_process();

  EXPECT_EQ(run.samples("a_total"), "");
  EXPECT_EQ(run.samples("qemond_series_overflow_total{vm=\"web1\",metric=\"a_total\""), overflow);
  EXPECT_EQ(run.samples("qemond_pack_evaluation_errors_total{vm=\"web1\",metric=\"a_total\""),
            errors);
  EXPECT_TRUE(run.engine.use(run.packs));
  run.feed("disk_read dev 0x3 sector 0 n 1\n");
  EXPECT_EQ(run.samples("a_total"), "a_total{device=\"0x3\"} 1\n");
  EXPECT_EQ(run.samples("b{"), "b{value=\"0x3\"} 1\n");
  EXPECT_EQ(run.samples("c_total"), "c_total{size=\"1\"} 3\n");
  EXPECT_EQ(run.samples("qemond_series_overflow_total{vm=\"web1\",metric=\"a_total\""), overflow);
  EXPECT_EQ(run.samples("qemond_pack_evaluation_errors_total{vm=\"web1\",metric=\"a_total\""),
            errors);
}

TEST(Engine, WhatAddressesTellIsGoneWithItsProcessWhenItsPackIsOff) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: disk_read, labels: {device: {argument: dev, "
      "decode: "
      "hex}}}\n");
  run.feed("disk_read dev 0x1 sector 0 n 1\n");
  run.engine.use({});
  ASSERT_EQ(run.samples("a_total"), "a_total{device=\"0x1\"} 1\n");

  run.engine.begin_process();
  run.engine.use({});

  EXPECT_EQ(run.samples("a_total"), "");
}

// A rule's arguments may stand elsewhere in the next QEMU's catalog.
TEST(Engine, ReadsArgumentsWhereTheNewCatalogHasThem) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line, add: level}\n");
  const auto other =
      trace::Catalog::parse("line(int level, int irq) \"level %d irq %d\"\n").value();

  run.events.use_catalog(&other);
  run.engine.use(run.packs);
  run.feed("line level 5 irq 100\n");

  EXPECT_EQ(run.samples("a_total"), "a_total 5\n");
}

TEST(Engine, ARecordWithoutADecoderHasNoArguments) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: line, add: level}\n"
      "  - {counter: b_total, help: B., events: line}\n");

  trace::Record record;
  record.event = *run.events.find("line");
  run.engine.on_record(record);

  EXPECT_EQ(run.samples("a_total") + run.samples("b_total"), "a_total 0\nb_total 1\n");
}

TEST(Engine, FindsOnlyWhatItHas) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line}\n");

  EXPECT_NE(run.engine.find("a_total"), nullptr);
  EXPECT_EQ(run.engine.find("a"), nullptr);
  EXPECT_NE(run.engine.bound("test"), nullptr);
  EXPECT_EQ(run.engine.bound("other"), nullptr);
}

}  // namespace
}  // namespace qemon::exporters
