#include "daemon/metric_snapshot.hpp"

#include <charconv>
#include <limits>
#include <optional>

namespace qemon::daemon {
namespace {

constexpr std::string_view vm_label = "vm=\"";

std::optional<double> parse_value(std::string_view text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Where the value that begins behind `"` ends: at the next `"` that is not escaped.
std::size_t end_of_value(std::string_view text, std::size_t at) {
  for (; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return std::min(at, text.size());
}

struct Sample {
  std::string_view name;
  std::string_view labels;  ///< Without vm and without braces.
  double value = 0;
};

std::optional<Sample> parse_sample(std::string_view line) {
  const auto brace = line.find('{');
  const auto blank = line.rfind(' ');
  if (brace == std::string_view::npos || blank == std::string_view::npos || blank < brace + 2 ||
      line[blank - 1] != '}')
    return std::nullopt;
  const auto value = parse_value(line.substr(blank + 1));
  auto labels = line.substr(brace + 1, blank - 2 - brace);
  if (!value || !labels.starts_with(vm_label)) return std::nullopt;
  labels.remove_prefix(std::min(end_of_value(labels, vm_label.size()) + 1, labels.size()));
  if (labels.starts_with(',')) labels.remove_prefix(1);
  return Sample{line.substr(0, brace), labels, *value};
}

std::string key_of(std::string_view name, std::string_view labels) {
  std::string key(name);
  if (labels.empty()) return key;
  key += '{';
  key += labels;
  key += '}';
  return key;
}

/// Takes the last label, which is `le`, off `labels`.
std::optional<double> take_bound(std::string_view& labels) {
  const auto at = labels.rfind("le=\"");
  if (at == std::string_view::npos || !labels.ends_with('"')) return std::nullopt;
  const auto bound = parse_value(labels.substr(at + 4, labels.size() - at - 5));
  labels = labels.substr(0, at > 0 ? at - 1 : 0);
  return bound;
}

void add_histogram(std::string_view family, Sample sample, MetricSnapshot& snapshot) {
  const auto part = sample.name.substr(family.size());
  std::optional<double> bound;
  if (part == "_bucket") bound = take_bound(sample.labels);
  auto& series = snapshot[key_of(family, sample.labels)];
  series.is_histogram = true;
  if (part == "_count") series.value = sample.value;
  if (part == "_sum") series.sum = sample.value;
  if (bound) series.buckets.emplace_back(*bound, sample.value);
}

}  // namespace

void add_to_snapshot(std::string_view text, MetricSnapshot& snapshot) {
  std::string_view family;
  std::string_view type;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view type_line = "# TYPE ";
    if (line.starts_with(type_line)) {
      line.remove_prefix(type_line.size());
      const auto blank = std::min(line.find(' '), line.size());
      family = line.substr(0, blank);
      type = line.substr(std::min(blank + 1, line.size()));
      continue;
    }
    if (line.starts_with('#') || (type != "counter" && type != "histogram")) continue;
    const auto sample = parse_sample(line);
    if (!sample || !sample->name.starts_with(family)) continue;
    if (type == "histogram") {
      add_histogram(family, *sample, snapshot);
    } else {
      snapshot[key_of(sample->name, sample->labels)].value = sample->value;
    }
  }
}

std::string_view metric_name(std::string_view series) {
  return series.substr(0, series.find('{'));
}

std::vector<std::pair<std::string, std::string>> labels_of(std::string_view series) {
  std::vector<std::pair<std::string, std::string>> labels;
  auto at = std::min(series.find('{'), series.size());
  while (at + 1 < series.size()) {
    ++at;  // Behind a brace or a comma.
    const auto quote = series.find("=\"", at);
    if (quote == std::string_view::npos) break;
    const auto begin = quote + 2;
    const auto end = end_of_value(series, begin);
    std::string value;
    for (auto i = begin; i < end; ++i) {
      if (series[i] == '\\' && i + 1 < end) {
        ++i;
        value += series[i] == 'n' ? '\n' : series[i];
      } else {
        value += series[i];
      }
    }
    labels.emplace_back(series.substr(at, quote - at), std::move(value));
    at = end + 1;
  }
  return labels;
}

}  // namespace qemon::daemon
