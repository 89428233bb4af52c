// Prometheus families as tables for people, and as JSON.
#pragma once

#include <prometheus/metric_family.h>

#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "exporters/engine.hpp"

namespace qemon::cli {

/// "1.25 ms", "42 us", "3.5 s".
[[nodiscard]] std::string human_duration(double seconds);
/// "0.25", "312.5", "100371".
[[nodiscard]] std::string human_rate(double per_second);

/// Prints each family as a small table, without its rows at 0. `engine` tells which of them are
/// heat maps and top values. `span_seconds`: for the rates of counters; 0 if not known.
void print_metric_tables(std::span<const prometheus::MetricFamily> families,
                         const exporters::Engine& engine, double span_seconds, std::ostream& out);

/// {"name", "type", "help", "samples": [...]}; buckets are cumulative, as Prometheus has them.
[[nodiscard]] nlohmann::ordered_json metric_json(const prometheus::MetricFamily& family);

}  // namespace qemon::cli
