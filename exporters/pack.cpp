#include "exporters/pack.hpp"

#include <algorithm>

namespace qemon::exporters {

std::string_view to_string(MetricKind kind) {
  switch (kind) {
    case MetricKind::counter:
      return "counter";
    case MetricKind::gauge:
      return "gauge";
    case MetricKind::histogram:
      return "histogram";
    case MetricKind::latency:
      return "latency";
    case MetricKind::heatmap:
      return "heatmap";
    case MetricKind::topk:
      return "topk";
  }
  return "unknown";
}

int Rule::line_of(const std::string& of_key) const {
  const auto found = lines.find(of_key);
  return found == lines.end() ? line : found->second;
}

std::vector<const Rule*> Pack::metrics() const {
  std::vector<const Rule*> first;
  for (const auto& rule : rules) {
    const bool known = std::any_of(first.begin(), first.end(),
                                   [&](const Rule* other) { return other->metric == rule.metric; });
    if (!known) first.push_back(&rule);
  }
  return first;
}

bool is_pack_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

}  // namespace qemon::exporters
