#include "cli/metric_tables.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>
#include <vector>

#include "cli/table.hpp"
#include "cli/text.hpp"
#include "exporters/metrics_text.hpp"
#include "exporters/quantile.hpp"

namespace qemon::cli {
namespace {

using exporters::MetricKind;
using exporters::quantile;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr auto right = Table::Align::right;
constexpr std::string_view error_suffix = "_error";
constexpr std::string_view other_range = "__other__";

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 64> text{};
  const int length = std::snprintf(text.data(), text.size(), pattern, values...);
  return {text.data(), static_cast<std::size_t>(std::clamp(length, 0, 63))};
}

bool is_whole(double value) {
  return std::abs(value) < 9e15 && std::floor(value) == value;
}

std::string number(double value) {
  return is_whole(value) ? format("%.0f", value) : format("%.6g", value);
}

/// A value of a histogram, in the unit that its name ends in.
std::string measure(double value, std::string_view metric) {
  if (metric.ends_with("_seconds")) return human_duration(value);
  return std::abs(value) < 1000 ? format("%.4g", value) : format("%.0f", value);
}

std::string title_of(std::string_view label) {
  std::string title(label);
  std::ranges::transform(title, title.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return title;
}

double value_of(const MetricFamily& family, const ClientMetric& sample) {
  switch (family.type) {
    case MetricType::Counter:
      return sample.counter.value;
    case MetricType::Histogram:
      return static_cast<double>(sample.histogram.sample_count);
    default:
      return sample.gauge.value;
  }
}

/// The label vm is the same everywhere.
bool is_told(const ClientMetric::Label& label) {
  return label.name != "vm";
}

/// Columns and cells of what all tables begin with.
std::vector<Table::Column> label_columns(const ClientMetric& sample) {
  std::vector<Table::Column> columns;
  for (const auto& label : sample.label)
    if (is_told(label)) columns.push_back({title_of(label.name)});
  return columns;
}

std::vector<std::string> label_cells(const ClientMetric& sample) {
  std::vector<std::string> cells;
  for (const auto& label : sample.label)
    if (is_told(label)) cells.push_back(label.value);
  return cells;
}

using Rows = std::vector<const ClientMetric*>;

/// Samples that are not 0; for gauges all of them, since there 0 is a value.
Rows rows_of(const MetricFamily& family) {
  Rows rows;
  for (const auto& sample : family.metric)
    if (family.type == MetricType::Gauge || value_of(family, sample) != 0) rows.push_back(&sample);
  return rows;
}

void print_plain(const MetricFamily& family, const Rows& rows, double span_seconds,
                 std::ostream& out) {
  auto columns = label_columns(*rows.front());
  columns.push_back({"VALUE", right});
  const bool rates = family.type == MetricType::Counter && span_seconds > 0;
  if (rates) columns.push_back({"PER SECOND", right});
  Table table(columns);
  for (const auto* sample : rows) {
    auto cells = label_cells(*sample);
    const double value = value_of(family, *sample);
    cells.push_back(number(value));
    if (rates) cells.push_back(human_rate(value / span_seconds));
    table.add(std::move(cells));
  }
  table.print(out);
}

void print_heat_map(const MetricFamily& family, Rows rows, std::ostream& out) {
  const auto is_other = [](const ClientMetric* sample) {
    return sample->label.back().value == other_range;
  };
  std::ranges::stable_sort(rows, [&](const ClientMetric* a, const ClientMetric* b) {
    if (is_other(a) != is_other(b)) return is_other(b);
    return value_of(family, *a) > value_of(family, *b);
  });
  double sum = 0;
  for (const auto* sample : rows) sum += value_of(family, *sample);
  auto columns = label_columns(*rows.front());
  columns.push_back({"COUNT", right});
  columns.push_back({"SHARE", right});
  Table table(columns);
  for (const auto* sample : rows) {
    auto cells = label_cells(*sample);
    const double value = value_of(family, *sample);
    cells.push_back(number(value));
    cells.push_back(format("%.1f%%", value / sum * 100));
    table.add(std::move(cells));
  }
  table.print(out);
}

/// `errors`: the family that says by how much each count may be too high, with the same samples;
/// nullptr if it is not there.
void print_top_values(const MetricFamily& family, const Rows& rows, const MetricFamily* errors,
                      std::ostream& out) {
  auto columns = label_columns(*rows.front());
  columns.push_back({"COUNT", right});
  columns.push_back({"AT MOST TOO HIGH BY", right});
  Table table(columns);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto cells = label_cells(*rows[i]);
    cells.push_back(number(value_of(family, *rows[i])));
    const bool known = errors != nullptr && i < errors->metric.size();
    cells.push_back(known ? number(errors->metric[i].gauge.value) : "-");
    table.add(std::move(cells));
  }
  table.print(out);
}

/// Where the largest observation is: "<= 5 ms", "> 5 s".
std::string highest(const ClientMetric::Histogram& histogram, std::string_view metric) {
  const auto& buckets = histogram.bucket;
  const auto found = std::ranges::find_if(buckets, [&](const ClientMetric::Bucket& bucket) {
    return bucket.cumulative_count == histogram.sample_count;
  });
  if (found == buckets.end()) return "-";
  if (!std::isinf(found->upper_bound)) return "<= " + measure(found->upper_bound, metric);
  return found == buckets.begin() ? "-" : "> " + measure(std::prev(found)->upper_bound, metric);
}

void print_histograms(const MetricFamily& family, const Rows& rows, std::ostream& out) {
  auto columns = label_columns(*rows.front());
  for (const char* const title : {"COUNT", "MEAN", "P50", "P90", "P99", "MAX"})
    columns.push_back({title, right});
  Table table(columns);
  for (const auto* sample : rows) {
    const auto& histogram = sample->histogram;
    auto cells = label_cells(*sample);
    cells.push_back(std::to_string(histogram.sample_count));
    cells.push_back(
        measure(histogram.sample_sum / static_cast<double>(histogram.sample_count), family.name));
    for (const double q : {0.5, 0.9, 0.99}) {
      const double value = quantile(histogram, q);
      cells.push_back(std::isinf(value) ? highest(histogram, family.name)
                                        : measure(value, family.name));
    }
    cells.push_back(highest(histogram, family.name));
    table.add(std::move(cells));
  }
  table.print(out);
}

nlohmann::ordered_json json_number(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (is_whole(value)) return static_cast<std::int64_t>(value);
  return value;
}

}  // namespace

std::string human_duration(double seconds) {
  // Three digits: most of these are estimates.
  const double size = std::abs(seconds);
  if (size == 0) return "0 s";
  if (size < 999.5e-9) return format("%.3g ns", seconds * 1e9);
  if (size < 999.5e-6) return format("%.3g us", seconds * 1e6);
  if (size < 999.5e-3) return format("%.3g ms", seconds * 1e3);
  return size < 999.5 ? format("%.3g s", seconds) : format("%.0f s", seconds);
}

std::string human_rate(double per_second) {
  return per_second < 10 ? format("%.2f", per_second)
                         : format(per_second < 1000 ? "%.1f" : "%.0f", per_second);
}

void print_metric_tables(std::span<const MetricFamily> families, const exporters::Engine& engine,
                         double span_seconds, std::ostream& out) {
  std::vector<std::string> empty;
  for (const auto& family : families) {
    const auto* const metric = engine.find(family.name);
    const auto rows = rows_of(family);
    const bool of_pack = metric != nullptr;
    const bool errors_of_top = !of_pack && family.name.ends_with(error_suffix);
    if (errors_of_top || family.name.empty()) continue;
    if (rows.empty() || (!of_pack && family.type == MetricType::Gauge)) {
      if (of_pack) empty.push_back(family.name);
      continue;
    }
    out << '\n'
        << printable(family.name) << " (" << exporters::type_name(family.type)
        << "): " << printable(family.help) << '\n';
    const auto kind = of_pack ? metric->shape().kind : MetricKind::counter;
    if (kind == MetricKind::topk) {
      const auto errors =
          std::ranges::find(families, family.name + std::string(error_suffix), &MetricFamily::name);
      print_top_values(family, rows, errors == families.end() ? nullptr : &*errors, out);
    } else if (kind == MetricKind::heatmap) {
      print_heat_map(family, rows, out);
    } else if (family.type == MetricType::Histogram) {
      print_histograms(family, rows, out);
    } else {
      print_plain(family, rows, span_seconds, out);
    }
  }
  if (!empty.empty()) out << "\nWithout a record: " << name_list(empty) << '\n';
}

nlohmann::ordered_json metric_json(const MetricFamily& family) {
  using Json = nlohmann::ordered_json;
  Json samples = Json::array();
  for (const auto& sample : family.metric) {
    Json one;
    one["labels"] = Json::object();
    for (const auto& label : sample.label) one["labels"][label.name] = label.value;
    if (family.type == MetricType::Histogram) {
      one["count"] = sample.histogram.sample_count;
      one["sum"] = json_number(sample.histogram.sample_sum);
      one["buckets"] = Json::array();
      for (const auto& bucket : sample.histogram.bucket) {
        Json of_bucket;
        of_bucket["le"] = json_number(bucket.upper_bound);
        of_bucket["count"] = bucket.cumulative_count;
        one["buckets"].push_back(std::move(of_bucket));
      }
    } else {
      one["value"] = json_number(value_of(family, sample));
    }
    samples.push_back(std::move(one));
  }
  Json json;
  json["name"] = family.name;
  json["type"] = exporters::type_name(family.type);
  json["help"] = family.help;
  json["samples"] = std::move(samples);
  return json;
}

}  // namespace qemon::cli
