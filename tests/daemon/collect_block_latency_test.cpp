#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/latency_histograms.hpp"
#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using test::expect_sound;
using test::samples_of;
using testing::HasSubstr;

json histogram(std::uint64_t first_bin, std::uint64_t second_bin) {
  std::vector<std::uint64_t> bins(latency_boundaries().size() + 1, 0);
  bins[0] = first_bin;
  bins[1] = second_bin;
  return json{{"boundaries", latency_boundaries()}, {"bins", bins}};
}

/// query-blockstats of one disk after so many reads in all; `bins` null for no histogram.
json answer(std::uint64_t reads, std::uint64_t total_ns, json bins = nullptr) {
  json stats{{"rd_operations", reads}, {"failed_rd_operations", 0}, {"rd_total_time_ns", total_ns}};
  if (!bins.is_null()) stats["rd_latency_histogram"] = std::move(bins);
  return json::array({{{"device", "d"}, {"qdev", "/m/vd0/virtio-backend"}, {"stats", stats}}});
}

std::string sum_and_count(const Figures& figures) {
  std::string text;
  for (const auto& family : figures) {
    for (const auto& metric : family.metric) {
      text += std::to_string(metric.histogram.sample_sum) + " of " +
              std::to_string(metric.histogram.sample_count);
    }
  }
  return text;
}

TEST(LatencyHistograms, BoundariesAreOneNanosecondAboveOneTwoAndFive) {
  const auto& boundaries = latency_boundaries();

  ASSERT_EQ(boundaries.size(), 18U);
  EXPECT_EQ(boundaries[0], 10'001U);
  EXPECT_EQ(boundaries[1], 20'001U);
  EXPECT_EQ(boundaries[2], 50'001U);
  EXPECT_EQ(boundaries.back(), 5'000'000'001U);
}

TEST(LatencyHistograms, WantsToSetWhatHasNone) {
  const auto devices = LatencyHistograms().to_be_set(answer(1, 1));

  ASSERT_EQ(devices.size(), 1U);
  EXPECT_EQ(devices[0].name, "d");
  EXPECT_EQ(devices[0].qdev, "/m/vd0/virtio-backend");
}

TEST(LatencyHistograms, LeavesAHistogramOfSomebodyElseAlone) {
  const json foreign = answer(5, 5, json{{"boundaries", {100, 200}}, {"bins", {1, 2, 2}}});
  LatencyHistograms histograms;

  EXPECT_TRUE(histograms.to_be_set(foreign).empty());
  EXPECT_TRUE(histograms.figures(foreign).empty());
  histograms.was_set("d", answer(5, 5));
  EXPECT_TRUE(histograms.figures(foreign).empty());
  EXPECT_TRUE(histograms.to_be_set(foreign).empty());
}

TEST(LatencyHistograms, SetsAnewWhatAnEarlierSessionLeftOrSomebodyRemoved) {
  LatencyHistograms histograms;
  EXPECT_EQ(histograms.to_be_set(answer(5, 5, histogram(1, 1))).size(), 1U);

  histograms.was_set("d", answer(5, 5));
  EXPECT_TRUE(histograms.to_be_set(answer(5, 5, histogram(1, 1))).empty());
  EXPECT_EQ(histograms.to_be_set(answer(5, 5)).size(), 1U);
}

TEST(LatencyHistograms, ShowsCumulativeBucketsWithExactBounds) {
  LatencyHistograms histograms;
  histograms.was_set("d", answer(10, 1'000'000));

  const Figures figures = histograms.figures(answer(13, 1'040'000, histogram(1, 2)));

  expect_sound(figures);
  const std::string samples = samples_of(figures);
  EXPECT_THAT(samples, HasSubstr("qemu_blockdev_latency_seconds_bucket{device=\"d\",operation="
                                 "\"read\",le=\"1e-05\"} 1\n"));
  EXPECT_THAT(samples, HasSubstr("le=\"2e-05\"} 3\n"));
  EXPECT_THAT(samples, HasSubstr("le=\"5\"} 3\n"));
  EXPECT_THAT(samples, HasSubstr("le=\"+Inf\"} 3\n"));
  EXPECT_THAT(samples, HasSubstr("_sum{device=\"d\",operation=\"read\"} 4e-05\n"));
  EXPECT_THAT(samples, HasSubstr("_count{device=\"d\",operation=\"read\"} 3\n"));
}

TEST(LatencyHistograms, TheSumGrowsExactlyAsQemusTotal) {
  LatencyHistograms histograms;
  histograms.was_set("d", answer(10, 1'000'000'000));

  EXPECT_EQ(sum_and_count(histograms.figures(answer(10, 1'000'000'000, histogram(0, 0)))),
            "0.000000 of 0");
  EXPECT_EQ(sum_and_count(histograms.figures(answer(14, 3'500'000'000, histogram(4, 0)))),
            "2.500000 of 4");
}

TEST(LatencyHistograms, OperationsThatEndedBeforeTheSettingAreNotInTheSum) {
  LatencyHistograms histograms;
  histograms.was_set("d", answer(10, 0));

  // Four more since then, of which one came after the setting.
  EXPECT_EQ(sum_and_count(histograms.figures(answer(14, 4'000'000'000, histogram(1, 0)))),
            "1.000000 of 1");
}

TEST(LatencyHistograms, ASettingBySomebodyElseIsACounterReset) {
  LatencyHistograms histograms;
  histograms.was_set("d", answer(0, 0));
  EXPECT_EQ(sum_and_count(histograms.figures(answer(4, 4'000'000'000, histogram(4, 0)))),
            "4.000000 of 4");

  EXPECT_EQ(sum_and_count(histograms.figures(answer(8, 6'000'000'000, histogram(2, 0)))),
            "1.000000 of 2");
  EXPECT_EQ(sum_and_count(histograms.figures(answer(9, 7'000'000'000, histogram(2, 1)))),
            "2.000000 of 3");
}

TEST(LatencyHistograms, SurvivesWhateverAnswerComes) {
  const json good = answer(4, 4000, histogram(4, 0));
  for (const json& one : test::spoilt(good)) {
    LatencyHistograms histograms;
    histograms.was_set("d", one);
    expect_sound(histograms.figures(good));
    expect_sound(histograms.figures(one));
    (void)histograms.to_be_set(one);
  }
}

}  // namespace
}  // namespace qemon::daemon
