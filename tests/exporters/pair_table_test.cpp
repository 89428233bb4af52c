#include "exporters/pair_table.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <random>

namespace qemon::exporters {
namespace {

constexpr std::int64_t second = 1'000'000'000;

struct Table {
  explicit Table(std::size_t most = 100, std::int64_t timeout = second)
      : pairs(most, timeout, counts) {}

  bool begin(std::uint64_t key, std::int64_t now) { return pairs.begin({key}, now) != nullptr; }
  bool end(std::uint64_t key, std::int64_t now) { return pairs.end({key}, now) != nullptr; }
  [[nodiscard]] std::uint64_t count(PairOutcome outcome) const {
    return counts[static_cast<std::size_t>(outcome)];
  }

  PairCounts counts{};
  PairTable pairs;
};

TEST(PairTable, GivesTheBeginBack) {
  Table table;
  auto* pair = table.pairs.begin({1, 2, 3, 4}, 100);
  ASSERT_NE(pair, nullptr);
  pair->labels[0] = {7, LabelCode::Form::decimal};

  const auto found = table.pairs.end({1, 2, 3, 4}, 200);

  ASSERT_TRUE(found);
  EXPECT_EQ(found->begin_ns, 100);
  EXPECT_EQ(found->labels[0], (LabelCode{7, LabelCode::Form::decimal}));
  EXPECT_EQ(table.pairs.in_flight(), 0U);
}

TEST(PairTable, EveryPartOfTheKeyCounts) {
  Table table;
  EXPECT_NE(table.pairs.begin({1, 2, 3, 4}, 0), nullptr);

  EXPECT_FALSE(table.pairs.end({1, 2, 3, 5}, 0));
  EXPECT_FALSE(table.pairs.end({0, 2, 3, 4}, 0));
  EXPECT_FALSE(table.pairs.end({2, 1, 3, 4}, 0));
  EXPECT_TRUE(table.pairs.end({1, 2, 3, 4}, 0));
}

TEST(PairTable, AnEndWithoutABeginIsAnOrphan) {
  Table table;

  EXPECT_FALSE(table.end(1, 0));
  EXPECT_TRUE(table.begin(1, 0));
  EXPECT_TRUE(table.end(1, 0));
  EXPECT_FALSE(table.end(1, 0));

  EXPECT_EQ(table.count(PairOutcome::orphan_end), 2U);
}

TEST(PairTable, ASecondBeginReplacesTheFirst) {
  Table table;
  EXPECT_TRUE(table.begin(1, 10));
  EXPECT_TRUE(table.begin(1, 20));

  const auto found = table.pairs.end({1}, 30);

  EXPECT_EQ(found->begin_ns, 20);
  EXPECT_EQ(table.count(PairOutcome::replaced), 1U);
}

TEST(PairTable, TimesOutBeyondTheLimitAndNotAtIt) {
  Table table;
  EXPECT_TRUE(table.begin(1, 0));
  EXPECT_TRUE(table.begin(2, 0));

  EXPECT_TRUE(table.end(1, second));
  EXPECT_FALSE(table.end(2, second + 1));

  EXPECT_EQ(table.count(PairOutcome::timed_out), 1U);
  EXPECT_EQ(table.count(PairOutcome::orphan_end), 1U);
}

TEST(PairTable, WhatTimedOutMakesRoom) {
  Table table(1);
  EXPECT_TRUE(table.begin(1, 0));

  EXPECT_FALSE(table.begin(2, second));
  EXPECT_TRUE(table.begin(2, second + 1));

  EXPECT_EQ(table.count(PairOutcome::over_limit), 1U);
  EXPECT_EQ(table.count(PairOutcome::timed_out), 1U);
  EXPECT_EQ(table.pairs.in_flight(), 1U);
}

TEST(PairTable, TakesNoMoreThanItsLimitButReplaces) {
  Table table(2);

  EXPECT_TRUE(table.begin(1, 0));
  EXPECT_TRUE(table.begin(2, 0));
  EXPECT_FALSE(table.begin(3, 0));
  EXPECT_TRUE(table.begin(2, 0));
  EXPECT_TRUE(table.end(1, 0));
  EXPECT_TRUE(table.begin(3, 0));

  EXPECT_EQ(table.count(PairOutcome::over_limit), 1U);
  EXPECT_EQ(table.count(PairOutcome::replaced), 1U);
}

TEST(PairTable, ForgetsAllThatIsInFlight) {
  Table table;
  for (std::uint64_t key = 0; key < 100; ++key) EXPECT_TRUE(table.begin(key, 0));

  table.pairs.discard();

  EXPECT_EQ(table.count(PairOutcome::discarded), 100U);
  EXPECT_EQ(table.pairs.in_flight(), 0U);
  for (std::uint64_t key = 0; key < 100; ++key) EXPECT_FALSE(table.end(key, 0));
  EXPECT_TRUE(table.begin(1, 0));
  EXPECT_TRUE(table.end(1, 0));
}

TEST(PairTable, WhatIsInFlightAtItsEndIsDiscarded) {
  PairCounts counts{};
  {
    PairTable pairs(10, second, counts);
    EXPECT_NE(pairs.begin({1}, 0), nullptr);
  }

  EXPECT_EQ(counts, (PairCounts{0, 0, 0, 0, 0, 1}));
}

TEST(PairTable, SurvivesEveryTime) {
  Table table;
  const auto least = std::numeric_limits<std::int64_t>::min();
  const auto most = std::numeric_limits<std::int64_t>::max();

  for (const auto time : {least, most, std::int64_t{0}, std::int64_t{-1}, most, least}) {
    (void)table.begin(static_cast<std::uint64_t>(time), time);
    (void)table.end(5, time);
  }

  EXPECT_EQ(elapsed_ns(least, most), -1);
  EXPECT_EQ(elapsed_ns(5, 7), 2);
  EXPECT_EQ(elapsed_ns(7, 5), -2);
}

TEST(PairTable, NamesItsOutcomes) {
  std::string all;
  for (std::size_t i = 0; i < pair_outcome_count; ++i)
    all += std::string(to_string(static_cast<PairOutcome>(i))) + " ";

  EXPECT_EQ(all, "matched orphan_end timed_out replaced over_limit discarded ");
}

TEST(PairTable, DoesWhatASimpleMapDoes) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t most = random() % 300 + 1;
    const auto timeout = static_cast<std::int64_t>(random() % 3000 + 1);
    PairCounts counts{}, expected{};
    std::uint64_t matches = 0;
    std::map<std::uint64_t, std::int64_t> model;
    {
      PairTable pairs(most, timeout, counts);
      std::int64_t now = 0;
      for (int i = 0; i < 30'000; ++i) {
        now += static_cast<std::int64_t>(random() % 10);
        const auto key = (random() % 400) << (seed * 6);
        std::erase_if(model, [&](const auto& each) {
          const bool late = now - each.second > timeout;
          expected[static_cast<std::size_t>(PairOutcome::timed_out)] += late ? 1U : 0U;
          return late;
        });
        if (random() % 500 == 0) {
          expected[static_cast<std::size_t>(PairOutcome::discarded)] += model.size();
          model.clear();
          // What timed out by now is told so first.
          (void)pairs.end({~std::uint64_t{0}}, now);
          ++expected[static_cast<std::size_t>(PairOutcome::orphan_end)];
          pairs.discard();
        } else if (random() % 2 == 0) {
          const bool known = model.contains(key);
          const auto* pair = pairs.begin({key, seed}, now);
          if (known) ++expected[static_cast<std::size_t>(PairOutcome::replaced)];
          if (!known && model.size() == most) {
            ++expected[static_cast<std::size_t>(PairOutcome::over_limit)];
            ASSERT_EQ(pair, nullptr);
          } else {
            model[key] = now;
            ASSERT_NE(pair, nullptr);
          }
        } else {
          const auto pair = pairs.end({key, seed}, now);
          const auto known = model.find(key);
          ASSERT_EQ(pair != nullptr, known != model.end());
          if (pair) {
            ASSERT_EQ(pair->begin_ns, known->second);
            model.erase(known);
            ++matches;
          } else {
            ++expected[static_cast<std::size_t>(PairOutcome::orphan_end)];
          }
        }
        ASSERT_EQ(pairs.in_flight(), model.size());
      }
    }
    expected[static_cast<std::size_t>(PairOutcome::discarded)] += model.size();
    EXPECT_EQ(counts, expected);
    EXPECT_GT(matches, 0U);
  }
}

}  // namespace
}  // namespace qemon::exporters
