#include "exporters/metrics_page.hpp"

#include "base/utf8.hpp"

#include <prometheus/text_serializer.h>

#include <sstream>

namespace qemon::exporters {

namespace {

prometheus::MetricFamily make_family(std::string_view name, std::string_view help,
                                     prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.type = type;
  // The serializer of prometheus-cpp 1.0.1 writes the help as it is, so what the format wants
  // escaped is escaped here.
  for (const char character : help) {
    if (character == '\\') {
      family.help += "\\\\";
    } else if (character == '\n') {
      family.help += "\\n";
    } else {
      family.help += character;
    }
  }
  return family;
}

}  // namespace

void MetricsPage::add(Collect family) {
  groups_.push_back([family = std::move(family)] { return std::vector<Collect>{family}; });
}

void MetricsPage::add_group(Group group) {
  groups_.push_back(std::move(group));
}

std::vector<MetricsPage::Collect> MetricsPage::families() const {
  std::vector<Collect> all;
  for (const auto& group : groups_)
    for (auto& family : group()) all.push_back(std::move(family));
  return all;
}

std::string serialize(const prometheus::MetricFamily& family) {
  if (family.metric.empty()) return {};
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, {family});
  return std::move(text).str();
}

prometheus::MetricFamily counter_family(std::string_view name, std::string_view help) {
  return make_family(name, help, prometheus::MetricType::Counter);
}

prometheus::MetricFamily gauge_family(std::string_view name, std::string_view help) {
  return make_family(name, help, prometheus::MetricType::Gauge);
}

prometheus::MetricFamily histogram_family(std::string_view name, std::string_view help) {
  return make_family(name, help, prometheus::MetricType::Histogram);
}

void add_value(prometheus::MetricFamily& family, LabelList labels, double value) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  metric.label.reserve(labels.size());
  for (const auto& [name, label_value] : labels) {
    prometheus::ClientMetric::Label& label = metric.label.emplace_back();
    label.name = name;
    label.value = to_valid_utf8(label_value);
  }
  if (family.type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

}  // namespace qemon::exporters
