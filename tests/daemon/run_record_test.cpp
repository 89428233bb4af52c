#include "daemon/run_record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "daemon/run_json.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using testing::ElementsAre;

constexpr double infinity = std::numeric_limits<double>::infinity();

SeriesValue counter(double value) {
  SeriesValue series;
  series.value = value;
  return series;
}

/// Of these observations.
SeriesValue histogram(const std::vector<double>& bounds, const std::vector<double>& values) {
  SeriesValue series;
  series.is_histogram = true;
  for (const double bound : bounds)
    series.buckets.emplace_back(
        bound, std::ranges::count_if(values, [&](double value) { return value <= bound; }));
  series.buckets.emplace_back(infinity, values.size());
  series.value = static_cast<double>(values.size());
  for (const double value : values) series.sum += value;
  return series;
}

class RunRecordTest : public testing::Test {
 protected:
  void look(double seconds, MetricSnapshot snapshot, bool is_whole = true) {
    RunRecord::Look look;
    look.seconds = seconds;
    look.snapshot = &snapshot;
    look.of_qemu = {"of_qemu_total"};
    look.process = process;
    look.is_whole = is_whole;
    record.add(look);
  }
  [[nodiscard]] const RunRecord::Series& series(const std::string& key) const {
    return record.series().at(key);
  }

  RunRecord record;
  std::string process = "1:1";
};

TEST_F(RunRecordTest, CountsGrowthFromTheFirstLookOn) {
  look(0, {{"a_total", counter(100)}});
  look(1, {{"a_total", counter(110)}});
  look(2, {{"a_total", counter(130)}});

  EXPECT_EQ(series("a_total").growth, 30);
  EXPECT_EQ(series("a_total").resets, 0U);
  EXPECT_THAT(record.seconds(), ElementsAre(0, 1, 2));
  EXPECT_THAT(series("a_total").curve, ElementsAre(0, 10, 30));
}

TEST_F(RunRecordTest, AValueThatGoesBackBeganAtZeroAgain) {
  look(0, {{"a_total", counter(100)}});
  look(1, {{"a_total", counter(110)}});
  look(2, {{"a_total", counter(4)}});
  look(3, {{"a_total", counter(5)}});

  EXPECT_EQ(series("a_total").growth, 15);
  EXPECT_EQ(series("a_total").resets, 1U);
}

TEST_F(RunRecordTest, WhatAppearsLaterCountsFromZero) {
  look(0, {});
  look(1, {});
  look(2, {{"a_total", counter(7)}, {"of_qemu_total", counter(3)}});

  EXPECT_EQ(series("a_total").growth, 7);
  EXPECT_THAT(series("a_total").curve, ElementsAre(0, 0, 7));
  EXPECT_EQ(series("of_qemu_total").growth, 3);
  EXPECT_FALSE(series("of_qemu_total").since.has_value());
}

TEST_F(RunRecordTest, WhatCouldNotBeAskedForAtTheStartCountsFromWhereItWasSeenFirst) {
  look(0, {}, false);
  look(4, {{"a_total", counter(7)}, {"of_qemu_total", counter(3000)}});
  look(5, {{"a_total", counter(7)}, {"of_qemu_total", counter(3005)}});

  EXPECT_EQ(series("a_total").growth, 7);
  EXPECT_EQ(series("of_qemu_total").growth, 5);
  EXPECT_EQ(series("of_qemu_total").since, 4.0);
}

TEST_F(RunRecordTest, AnotherQemuCountsFromZeroEvenIfItHasCountedMoreThanTheLastOne) {
  look(0, {{"a_total", counter(10)}, {"of_qemu_total", counter(10)}});
  look(1, {{"a_total", counter(12)}, {"of_qemu_total", counter(12)}});
  process = "2:2";
  // Its first figures come somewhat later.
  look(2, {{"a_total", counter(12)}});
  look(3, {{"a_total", counter(15)}, {"of_qemu_total", counter(50)}});

  EXPECT_EQ(record.restarts(), 1U);
  EXPECT_EQ(series("a_total").growth, 5);
  EXPECT_EQ(series("of_qemu_total").growth, 52);
  EXPECT_EQ(series("of_qemu_total").resets, 1U);
}

TEST_F(RunRecordTest, WhatIsAwayKeepsWhatItHad) {
  look(0, {{"a_total", counter(10)}});
  look(1, {{"a_total", counter(12)}});
  look(2, {});
  look(3, {{"a_total", counter(13)}});

  EXPECT_EQ(series("a_total").growth, 3);
  EXPECT_THAT(series("a_total").curve, ElementsAre(0, 2, 2, 3));
}

TEST_F(RunRecordTest, BoundsThePointsOfCurvesAndKeepsTheLast) {
  record = RunRecord({100, 10, 8});
  for (int i = 0; i <= 100; ++i) look(i, {{"a_total", counter(10.0 * i)}});

  EXPECT_LE(record.seconds().size(), 9U);
  EXPECT_EQ(record.seconds().front(), 0);
  EXPECT_EQ(record.seconds().back(), 100);
  EXPECT_EQ(record.seconds().size(), series("a_total").curve.size());
  EXPECT_EQ(series("a_total").curve.back(), 1000);
  EXPECT_GE(record.stretch(), 16U);
  for (std::size_t i = 0; i < record.seconds().size(); ++i)
    EXPECT_EQ(series("a_total").curve[i], 10 * record.seconds()[i]);
}

TEST_F(RunRecordTest, BoundsSeriesAndCurvesAndCountsWhatIsLeftOut) {
  record = RunRecord({3, 2, 100});
  for (int i = 0; i < 3; ++i) {
    MetricSnapshot snapshot;
    for (const char* name : {"a", "b", "c", "d", "e"}) snapshot[name] = counter(i);
    look(i, std::move(snapshot));
  }

  EXPECT_EQ(record.series().size(), 3U);
  EXPECT_EQ(record.series_left_out(), 2U);
  EXPECT_EQ(record.curves_left_out(), 1U);
  EXPECT_EQ(series("c").growth, 2);
  EXPECT_TRUE(series("c").curve.empty());
}

/// The value below which the part q lies, straight from the observations.
double true_quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(values.size())));
  return values[std::max<std::size_t>(rank, 1) - 1];
}

TEST_F(RunRecordTest, QuantilesAreThoseOfTheRunsObservationsAsNearAsItsBucketsAre) {
  std::vector<double> bounds;
  for (int i = 1; i <= 200; ++i) bounds.push_back(i * 0.01);
  // Before the run: all slow. In it: known to be spread otherwise.
  std::vector<double> values(1000, 1.995);
  look(0, {{"h_seconds", histogram(bounds, values)}});
  std::vector<double> in_run;
  for (int i = 0; i < 700; ++i) {
    in_run.push_back(std::fmod(i * 0.00717, 1.0) * std::fmod(i * 0.00717, 1.0));
    values.push_back(in_run.back());
    if (i % 100 == 0) look(i, {{"h_seconds", histogram(bounds, values)}});
  }
  look(700, {{"h_seconds", histogram(bounds, values)}});

  json summary;
  add_figures(record, 700, summary);

  const auto& shown = summary.at("histograms").at(0);
  EXPECT_EQ(shown.at("count"), 700);
  double sum = 0;
  for (const double value : in_run) sum += value;
  EXPECT_NEAR(shown.at("mean").get<double>(), sum / 700, 1e-9);
  for (const auto& [name, q] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}})
    EXPECT_NEAR(shown.at(name).get<double>(), true_quantile(in_run, q), 0.0101) << name;
}

TEST_F(RunRecordTest, AHistogramThatBeginsAnewAddsUp) {
  look(0, {{"h", histogram({1, 2}, {0.5, 0.5, 0.5})}});
  look(1, {{"h", histogram({1, 2}, {0.5, 0.5, 0.5, 1.5})}});
  look(2, {{"h", histogram({1, 2}, {1.5, 3})}});

  EXPECT_EQ(series("h").growth, 3);
  EXPECT_EQ(series("h").resets, 1U);
  EXPECT_THAT(series("h").buckets, ElementsAre(0, 2, 3));
  EXPECT_EQ(series("h").sum, 1.5 + 4.5);
}

TEST_F(RunRecordTest, IsShownWithRatesAndInstructions) {
  look(0, {{"a_total{b=\"c\"}", counter(1)}, {"qemu_guest_instructions_total", counter(1000)}});
  look(4, {{"a_total{b=\"c\"}", counter(11)}, {"qemu_guest_instructions_total", counter(6000)}});

  json summary;
  add_figures(record, 4, summary);

  EXPECT_EQ(summary.at("guest_instructions"), 5000);
  EXPECT_EQ(summary.at("counters").at(0),
            json::parse(R"({"name":"a_total","labels":{"b":"c"},"delta":10,"per_second":2.5,
                            "resets":0,"curve":[0,10]})"));
}

TEST_F(RunRecordTest, IsShownWhenCountsAreBeyondIntegers) {
  auto huge = histogram({1, 2}, {});
  huge.value = 1e20;
  huge.buckets[1].second = 1e20;
  huge.buckets[2].second = 1e20;
  look(0, {{"h", histogram({1, 2}, {})}});
  look(1, {{"h", huge}});

  json summary;
  add_figures(record, 1, summary);

  const auto& shown = summary.at("histograms").at(0);
  EXPECT_EQ(shown.at("count"), 1e20);
  EXPECT_EQ(shown.at("p50"), 1.5);
}

TEST(ShownNumber, IsWholeOrHasTwelveDigits) {
  EXPECT_EQ(shown_number(40960).dump(), "40960");
  EXPECT_EQ(shown_number(0.1 + 0.2).dump(), "0.3");
  EXPECT_EQ(shown_number(infinity).dump(), "\"+Inf\"");
}

}  // namespace
}  // namespace qemon::daemon
