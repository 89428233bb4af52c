#include "exporters/metrics_page.hpp"

#include "base/utf8.hpp"

#include <utility>

namespace qemon::exporters {

namespace {

prometheus::MetricFamily make_family(std::string_view name, std::string_view help,
                                     prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.type = type;
  // What the format wants escaped is escaped here, as prometheus-cpp's own families have it.
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

MetricsPage::Writer writer_of(MetricsPage::Collect collect) {
  return [collect = std::move(collect)](std::string& text) {
    text += serialize(collect());
    return false;
  };
}

}  // namespace

void MetricsPage::add(Collect family) {
  sources_.push_back(
      [family = std::move(family)] { return std::vector<Writer>{writer_of(family)}; });
}

void MetricsPage::add_group(Group group) {
  sources_.push_back([group = std::move(group)] {
    std::vector<Writer> writers;
    for (auto& family : group()) writers.push_back(writer_of(std::move(family)));
    return writers;
  });
}

std::vector<MetricsPage::Writer> MetricsPage::writers() const {
  std::vector<Writer> all;
  for (const auto& source : sources_)
    for (auto& writer : source()) all.push_back(std::move(writer));
  return all;
}

std::string MetricsPage::text() const {
  std::string text;
  for (const auto& writer : writers())
    while (writer(text)) continue;
  return text;
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
