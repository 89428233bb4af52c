#include "daemon/run_json.hpp"

#include <prometheus/client_metric.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "exporters/quantile.hpp"

namespace qemon::daemon {

using nlohmann::json;

namespace {

constexpr std::string_view instructions = "qemu_guest_instructions_total";

json numbers(const std::vector<double>& values) {
  auto list = json::array();
  for (const double value : values) list.push_back(shown_number(value));
  return list;
}

/// What counters and histograms have in common.
json common(const std::string& key, const RunRecord::Series& series) {
  json object;
  object["name"] = metric_name(key);
  object["labels"] = json::object();
  for (auto& [name, value] : labels_of(key)) object["labels"][name] = std::move(value);
  object["resets"] = series.resets;
  if (series.since) object["since_seconds"] = shown_number(*series.since);
  if (!series.curve.empty()) object["curve"] = numbers(series.curve);
  return object;
}

json counter(const std::string& key, const RunRecord::Series& series, double length_seconds) {
  auto object = common(key, series);
  object["delta"] = shown_number(series.growth);
  object["per_second"] =
      length_seconds > 0 ? shown_number(series.growth / length_seconds) : json(nullptr);
  return object;
}

/// A count as an integer. A monitor can tell counts whose sum is beyond all integers.
std::uint64_t whole(double count) {
  constexpr double most = 1.8e19;
  return count > 0 ? static_cast<std::uint64_t>(std::min(count, most)) : 0;
}

json histogram(const std::string& key, const RunRecord::Series& series, double length_seconds) {
  auto object = common(key, series);
  object["count"] = shown_number(series.growth);
  object["per_second"] =
      length_seconds > 0 ? shown_number(series.growth / length_seconds) : json(nullptr);
  object["sum"] = shown_number(series.sum);
  object["mean"] = series.growth > 0 ? shown_number(series.sum / series.growth) : json(nullptr);
  prometheus::ClientMetric::Histogram grown;
  grown.sample_count = whole(series.growth);
  auto buckets = json::array();
  double below = 0;
  for (std::size_t i = 0; i < series.bounds.size(); ++i) {
    grown.bucket.push_back({whole(series.buckets[i]), series.bounds[i]});
    if (series.buckets[i] == below) continue;  // Nothing in it.
    below = series.buckets[i];
    buckets.push_back({{"le", shown_number(series.bounds[i])}, {"count", shown_number(below)}});
  }
  for (const auto& [name, q] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}})
    object[name] = series.growth > 0 ? shown_number(exporters::quantile(grown, q)) : json(nullptr);
  object["buckets"] = std::move(buckets);
  return object;
}

}  // namespace

json shown_number(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (std::isnan(value)) return nullptr;
  if (std::abs(value) < 9e15 && std::floor(value) == value) return static_cast<std::int64_t>(value);
  // Differences of what is no whole number end in digits that mean nothing.
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.12g", value);
  return std::strtod(text.data(), nullptr);
}

void add_figures(const RunRecord& record, double length_seconds, json& summary) {
  const auto executed = record.growth(instructions);
  summary["guest_instructions"] = executed ? shown_number(*executed) : json(nullptr);
  summary["seconds"] = numbers(record.seconds());
  auto counters = json::array();
  auto histograms = json::array();
  for (const auto& [key, series] : record.series()) {
    if (series.is_histogram) {
      histograms.push_back(histogram(key, series, length_seconds));
    } else {
      counters.push_back(counter(key, series, length_seconds));
    }
  }
  summary["counters"] = std::move(counters);
  summary["histograms"] = std::move(histograms);
}

}  // namespace qemon::daemon
