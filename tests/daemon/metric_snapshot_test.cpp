#include "daemon/metric_snapshot.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "exporters/metrics_page.hpp"
#include "exporters/metrics_text.hpp"

namespace qemon::daemon {
namespace {

using testing::ElementsAre;
using testing::Pair;

MetricSnapshot snapshot_of(std::string_view text) {
  MetricSnapshot snapshot;
  add_to_snapshot(text, snapshot);
  return snapshot;
}

TEST(MetricSnapshot, HasCountersWithoutTheLabelVm) {
  const auto snapshot = snapshot_of(
      "# HELP a_total A.\n# TYPE a_total counter\n"
      "a_total{vm=\"x\",b=\"c\"} 5\na_total{vm=\"x\"} 1.5e+20\n"
      "# TYPE g gauge\ng{vm=\"x\"} 7\n"
      "# TYPE other_total counter\nother_total 3\n");

  ASSERT_EQ(snapshot.size(), 2U);
  EXPECT_EQ(snapshot.at("a_total{b=\"c\"}").value, 5);
  EXPECT_EQ(snapshot.at("a_total").value, 1.5e20);
}

TEST(MetricSnapshot, ReadsWhatOurOwnTextSays) {
  auto counters = exporters::counter_family("a_total", "A.");
  exporters::add_sample(counters, {{"vm", "x\"}{,"}, {"b", "c d} \"\\\n,e=\"f\""}}, 42);
  auto histograms = exporters::histogram_family("h_seconds", "H.");
  auto& sample = histograms.metric.emplace_back();
  sample.label = {{"vm", "x"}, {"le_like", "le=\""}};
  sample.histogram.sample_count = 7;
  sample.histogram.sample_sum = 1.25;
  sample.histogram.bucket = {{3, 0.5}, {7, std::numeric_limits<double>::infinity()}};

  const auto snapshot =
      snapshot_of(exporters::serialize(counters) + exporters::serialize(histograms));

  ASSERT_EQ(snapshot.size(), 2U);
  const auto& [key, value] = *snapshot.begin();
  EXPECT_EQ(metric_name(key), "a_total");
  EXPECT_THAT(labels_of(key), ElementsAre(Pair("b", "c d} \"\\\n,e=\"f\"")));
  EXPECT_EQ(value.value, 42);
  const auto& [histogram_key, histogram] = *snapshot.rbegin();
  EXPECT_EQ(metric_name(histogram_key), "h_seconds");
  EXPECT_THAT(labels_of(histogram_key), ElementsAre(Pair("le_like", "le=\"")));
  EXPECT_TRUE(histogram.is_histogram);
  EXPECT_EQ(histogram.value, 7);
  EXPECT_EQ(histogram.sum, 1.25);
  EXPECT_THAT(histogram.buckets,
              ElementsAre(Pair(0.5, 3), Pair(std::numeric_limits<double>::infinity(), 7)));
}

TEST(MetricSnapshot, LeavesOutWhatIsNoSample) {
  for (const char* line :
       {"a_total", "a_total{", "a_total{vm=\"x\"}", "a_total{vm=\"x\"} ", "a_total{vm=\"x\"} five",
        "a_total{b=\"c\"} 5", "{} 5", " 5", "}{ 5", "b_total{vm=\"x\"} 5"}) {
    EXPECT_TRUE(snapshot_of("# TYPE a_total counter\n" + std::string(line) + "\n").empty()) << line;
  }
  EXPECT_TRUE(snapshot_of("# TYPE\n# TYPE a\na{vm=\"x\"} 1\n").empty());
}

}  // namespace
}  // namespace qemon::daemon
