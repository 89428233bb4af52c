// What a source may add up by itself, instead of giving each record to the engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>

#include "exporters/engine.hpp"
#include "tests/exporters/pack_run.hpp"

namespace qemon::exporters {
namespace {

using test::PackRun;

TEST(EngineSums, TellsOfWhichEventsItNeedsSumsOnly) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: [line, bare]}\n"
      "  - {counter: b_total, help: B., events: line, add: level * 512, labels: {by: level}}\n"
      "  - {counter: c_total, help: C., events: disk_read, when: n == 1}\n"
      "  - {counter: d_total, help: D., events: disk_done, labels: {status: {argument: "
      "status}}}\n");

  const auto line = *run.events.find("line"), bare = *run.events.find("bare");
  ASSERT_TRUE(run.engine.only_sums(line));
  EXPECT_THAT(*run.engine.only_sums(line), testing::ElementsAre(1));
  ASSERT_TRUE(run.engine.only_sums(bare));
  EXPECT_THAT(*run.engine.only_sums(bare), testing::IsEmpty());
  EXPECT_FALSE(run.engine.only_sums(*run.events.find("disk_read")));
  EXPECT_FALSE(run.engine.only_sums(*run.events.find("disk_done")));

  const std::array<std::uint8_t, 1> level{1};
  const std::array<std::uint64_t, 1> sum{1000};
  run.engine.on_summed(line, 30, level, sum);
  run.engine.on_summed(bare, 4, {}, {});
  run.feed("line irq 1 level 7\n");

  EXPECT_EQ(run.samples("a_total") + run.samples("b_total"),
            "a_total 35\nb_total{by=\"level\"} 515584\n");
}

// As in pack tcg.
TEST(EngineSums, NeedsTheRecordsOfAnEventOfWhichOneRuleDoesMoreThanAdd) {
  for (const bool adds_first : {true, false}) {
    const std::string adds = "  - {counter: a_total, help: A., events: line}\n";
    const std::string top = "  - {topk: b, help: B., events: line, value: irq}\n";
    PackRun run;
    run.use(adds_first ? adds + top : top + adds);

    EXPECT_FALSE(run.engine.only_sums(*run.events.find("line"))) << adds_first;
  }
}

TEST(EngineSums, NeedsTheRecordsWhereSumsWouldNotDo) {
  for (const std::string rule :
       {"counter: a_total, help: A., add: level + 1", "counter: a_total, help: A., add: 0 - 1",
        "counter: a_total, help: A., add: level * 2000000",
        "counter: a_total, help: A., add: level * level", "gauge: a, help: A., value: level",
        "counter: a_total, help: A., add: level / 2",
        "histogram: a, help: A., observe: level, buckets: {exp2: {from: 1, to: 8}}",
        "heatmap: a_total, help: A., address: level"}) {
    PackRun run;
    run.use("  - {" + rule + ", events: line}\n");

    EXPECT_FALSE(run.engine.only_sums(*run.events.find("line"))) << rule;
  }
}

TEST(EngineSums, AddsUpNothingThatNobodyReads) {
  PackRun run;
  const auto line = *run.events.find("line");
  EXPECT_FALSE(run.engine.only_sums(line));
  run.use("  - {counter: a_total, help: A., events: line, add: level}\n");

  const std::array<std::uint8_t, 1> irq{0};
  const std::array<std::uint64_t, 1> sum{1000};
  run.engine.on_summed(line, 30, irq, sum);
  run.engine.on_summed(*run.events.find("bare"), 30, irq, sum);

  EXPECT_EQ(run.samples("a_total"), "a_total 0\n");
}

TEST(EngineSums, ASumThatNoCounterHoldsIsAnError) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: line, add: level * 1024}\n");
  const std::array<std::uint8_t, 1> level{1};
  const std::array<std::uint64_t, 1> sum{std::uint64_t{1} << 60};

  run.engine.on_summed(*run.events.find("line"), 3, level, sum);

  EXPECT_EQ(run.samples("a_total"), "a_total 0\n");
  EXPECT_EQ(run.engine.find("a_total")->errors[static_cast<std::size_t>(EvaluationError::overflow)],
            3U);
}

}  // namespace
}  // namespace qemon::exporters
