#include "exporters/metrics_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/utf8.hpp"

namespace qemon::exporters {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

void append_label_value(std::string_view value, std::string& text) {
  if (value.find_first_of("\\\"\n") == std::string_view::npos) {
    text += value;
    return;
  }
  for (const char character : value) {
    if (character == '\n') {
      text += "\\n";
      continue;
    }
    if (character == '\\' || character == '"') text += '\\';
    text += character;
  }
}

/// `{a="b",c="d"}`; with `le` as a last label if it is not empty. Nothing if there are no labels.
void append_labels(const std::vector<ClientMetric::Label>& labels, std::string_view le,
                   std::string& text) {
  char before = '{';
  const auto append = [&](std::string_view name, std::string_view value) {
    text += std::exchange(before, ',');
    text += name;
    text += "=\"";
    append_label_value(value, text);
    text += '"';
  };
  for (const auto& label : labels) append(label.name, label.value);
  if (!le.empty()) append("le", le);
  if (before == ',') text += '}';
}

void append_sample(const MetricFamily& family, std::string_view suffix, const ClientMetric& metric,
                   std::string_view le, double value, std::string& text) {
  text += family.name;
  text += suffix;
  append_labels(metric.label, le, text);
  text += ' ';
  append_number(value, text);
  text += '\n';
}

void append_histogram(const MetricFamily& family, const ClientMetric& metric, std::string& text) {
  const auto& histogram = metric.histogram;
  append_sample(family, "_count", metric, {}, static_cast<double>(histogram.sample_count), text);
  append_sample(family, "_sum", metric, {}, histogram.sample_sum, text);
  bool has_last = false;
  std::string bound;
  for (const auto& bucket : histogram.bucket) {
    bound.clear();
    append_number(bucket.upper_bound, bound);
    has_last = std::isinf(bucket.upper_bound);
    append_sample(family, "_bucket", metric, bound, static_cast<double>(bucket.cumulative_count),
                  text);
  }
  if (!has_last) {
    append_sample(family, "_bucket", metric, "+Inf", static_cast<double>(histogram.sample_count),
                  text);
  }
}

}  // namespace

std::string_view type_name(prometheus::MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Histogram:
      return "histogram";
    case MetricType::Summary:
    case MetricType::Untyped:
      break;  // We make none.
  }
  return "untyped";
}

void append_number(double value, std::string& text) {
  if (std::isnan(value)) {
    text += "NaN";
    return;
  }
  if (std::isinf(value)) {
    text += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  std::array<char, 32> digits;
  char* const begin = digits.data();
  char* const end = begin + digits.size();
  const double size = std::abs(value);
  // Integers and ordinary fractions are written out; the shortest form of 100000 would be 1e+05.
  const auto written = [&] {
    if (size < 9e15 && value == std::trunc(value))
      return std::to_chars(begin, end, static_cast<std::int64_t>(value));
    if (size >= 1e-4 && size < 1e15)
      return std::to_chars(begin, end, value, std::chars_format::fixed);
    return std::to_chars(begin, end, value);
  }();
  text.append(begin, written.ptr);
}

void append_header(const MetricFamily& family, std::string& text) {
  text += "# HELP ";
  text += family.name;
  text += ' ';
  text += family.help;
  text += "\n# TYPE ";
  text += family.name;
  text += ' ';
  text += type_name(family.type);
  text += '\n';
}

void append_samples(const MetricFamily& family, std::string& text) {
  for (const auto& metric : family.metric) {
    switch (family.type) {
      case MetricType::Counter:
        append_sample(family, {}, metric, {}, metric.counter.value, text);
        break;
      case MetricType::Gauge:
        append_sample(family, {}, metric, {}, metric.gauge.value, text);
        break;
      case MetricType::Histogram:
        append_histogram(family, metric, text);
        break;
      case MetricType::Summary:
      case MetricType::Untyped:
        append_sample(family, {}, metric, {}, metric.untyped.value, text);
        break;
    }
  }
}

std::string serialize(const MetricFamily& family) {
  std::string text;
  if (family.metric.empty()) return text;
  append_header(family, text);
  append_samples(family, text);
  return text;
}

std::shared_ptr<const FamilyTexts> FamilyTextMaker::make(std::vector<MetricFamily> families,
                                                         std::string_view vm) {
  auto texts = std::make_shared<FamilyTexts>();
  texts->reserve(families.size());
  const ClientMetric::Label label{"vm", to_valid_utf8(vm)};
  std::string samples;
  for (auto& family : families) {
    if (family.metric.empty()) continue;
    for (auto& metric : family.metric) metric.label.insert(metric.label.begin(), label);
    samples.clear();
    append_samples(family, samples);
    texts->push_back({share(family), samples});
  }
  return texts;
}

std::shared_ptr<const FamilyHeader> FamilyTextMaker::share(const MetricFamily& family) {
  auto& known = headers_[family.name];
  FamilyHeader header{family.name, family.type, {}};
  append_header(family, header.text);
  if (auto shared = known.lock(); shared && shared->text == header.text) return shared;
  auto made = std::make_shared<const FamilyHeader>(std::move(header));
  known = made;
  // Names may come from a VM, and so do not stay for ever.
  if (headers_.size() > 2 * headers_at_last_look_ + 100) {
    std::erase_if(headers_, [](const auto& entry) { return entry.second.expired(); });
    headers_at_last_look_ = headers_.size();
  }
  return made;
}

}  // namespace qemon::exporters
