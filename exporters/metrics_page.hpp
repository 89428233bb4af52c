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

#include "exporters/metrics_text.hpp"

namespace qemon::exporters {

/// Functions that write one family each, or a few. Holds no figures itself: whoever adds a function
/// keeps the integers behind it alive as long as the page. The server yields between one part and
/// the next, so that a big page never holds up the loop for long.
class MetricsPage {
 public:
  using Collect = std::function<prometheus::MetricFamily()>;
  /// Families that are not always the same: called at the beginning of each scrape. What it returns
  /// must stay callable while the page lives.
  using Group = std::function<std::vector<Collect>()>;
  /// Adds the next part of what it writes to a text: a bounded number of samples, or nothing. False
  /// when there is no more. Each family is written as a whole before the next one.
  using Writer = std::function<bool(std::string& text)>;
  /// Called at the beginning of each scrape, for writers of that scrape alone.
  using Source = std::function<std::vector<Writer>()>;

  /// Families appear in the order in which they were added. One name must not be added twice.
  void add(Collect family);
  void add_group(Group group);
  void add_source(Source source) { sources_.push_back(std::move(source)); }
  /// What one scrape shows, in order.
  [[nodiscard]] std::vector<Writer> writers() const;
  /// All of it at once, for those who are in no hurry.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Source> sources_;
};

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
