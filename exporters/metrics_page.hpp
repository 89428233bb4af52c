// MetricsPage: the families behind /metrics, collected and turned into text one at a time.
#pragma once

#include <prometheus/metric_family.h>

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace qemon::exporters {

/// Functions that collect one family each. Holds no figures itself: whoever adds a function keeps
/// the integers behind it alive as long as the page. The server takes families() and yields between
/// one and the next, so that a big page never holds up the loop for long.
class MetricsPage {
 public:
  using Collect = std::function<prometheus::MetricFamily()>;
  /// Families that are not always the same: called at the beginning of each scrape. What it returns
  /// must stay callable while the page lives.
  using Group = std::function<std::vector<Collect>()>;

  /// Families appear in the order in which they were added. One name must not be added twice.
  void add(Collect family);
  void add_group(Group group);
  /// What one scrape shows, in order.
  [[nodiscard]] std::vector<Collect> families() const;

 private:
  std::vector<Group> groups_;
};

/// Its text in the Prometheus format 0.0.4. Empty if the family has no samples: a figure that
/// cannot be known is absent, and then so are its HELP and TYPE lines.
[[nodiscard]] std::string serialize(const prometheus::MetricFamily& family);

/// The Content-Type of a page made of serialize()'s texts.
inline constexpr std::string_view metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

/// An empty counter family. `name` ends in _total, or in _seconds_total and the like.
[[nodiscard]] prometheus::MetricFamily counter_family(std::string_view name, std::string_view help);
/// An empty gauge family.
[[nodiscard]] prometheus::MetricFamily gauge_family(std::string_view name, std::string_view help);
/// An empty histogram family.
[[nodiscard]] prometheus::MetricFamily histogram_family(std::string_view name,
                                                        std::string_view help);

/// Label names and values, for instance {{"vm", name}, {"event", event}}. Names are ours; values
/// may come from anywhere.
using LabelList = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// Adds one sample to a counter or gauge family. Bytes of a label value that are not UTF-8 become
/// U+FFFD, because one wrong byte would make Prometheus reject the whole page.
void add_value(prometheus::MetricFamily& family, LabelList labels, double value);

/// The same for every type of number. Integers are exact up to 2^53.
template <typename Number>
requires std::is_arithmetic_v<Number>
void add_sample(prometheus::MetricFamily& family, LabelList labels, Number value) {
  add_value(family, labels, static_cast<double>(value));
}

}  // namespace qemon::exporters
