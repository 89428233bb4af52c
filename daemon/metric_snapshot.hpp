// MetricSnapshot: the counters and histograms of one VM at one moment, as /metrics has them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qemon::daemon {

/// One series.
struct SeriesValue {
  bool is_histogram = false;
  double value = 0;  ///< Of a counter; of a histogram the number of its observations.
  double sum = 0;    ///< Of a histogram.
  std::vector<std::pair<double, double>> buckets;  ///< Upper bounds and cumulative counts.
};

/// By `name{label="value",...}`, without the label vm. Gauges are left out.
using MetricSnapshot = std::map<std::string, SeriesValue, std::less<>>;

/// Adds what a text of the Prometheus format 0.0.4 holds, as exporters/metrics_text.hpp writes it,
/// with `vm` as the first label of each sample; samples without it are left out.
void add_to_snapshot(std::string_view text, MetricSnapshot& snapshot);

/// The name in front of the labels.
[[nodiscard]] std::string_view metric_name(std::string_view series);
/// The labels of `name{label="value",...}`, as they were before they were escaped.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> labels_of(std::string_view series);

}  // namespace qemon::daemon
