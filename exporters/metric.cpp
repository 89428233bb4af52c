#include "exporters/metric.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace qemon::exporters {
namespace {

Metric::Values make_values(const MetricShape& shape) {
  switch (shape.kind) {
    case MetricKind::counter:
      return CounterValues{};
    case MetricKind::gauge:
      return GaugeValues{};
    case MetricKind::histogram:
    case MetricKind::latency:
      return HistogramValues{};
    case MetricKind::heatmap:
      return HeatMap(shape.range_shift, shape.ranges, shape.limit);
    case MetricKind::topk:
      return TopValues(shape.capacity);
  }
  return CounterValues{};
}

}  // namespace

Metric::Metric(std::string name, std::string help, MetricShape shape)
    : name_(std::move(name)),
      help_(std::move(help)),
      shape_(std::move(shape)),
      finder_(shape_.buckets),
      width_(shape_.buckets.bounds.size() + 1),
      series_(shape_.labels.size(), shape_.limit),
      values_(make_values(shape_)) {
  can_overflow = shape_.kind == MetricKind::heatmap;
}

std::unique_ptr<Metric> Metric::successor() const {
  auto next = std::make_unique<Metric>(name_, help_, shape_);
  next->errors = errors;
  next->pairs = pairs;
  next->untimed_records = untimed_records;
  next->can_overflow = can_overflow;
  next->is_offered = is_offered;
  next->overflow_before_ = overflow();
  return next;
}

void Metric::declare(std::span<const LabelCode> codes) {
  const auto series = series_.declare(codes);
  if (auto* counters = std::get_if<CounterValues>(&values_)) {
    if (series >= counters->values.size()) counters->values.resize(std::size_t{series} + 1);
  } else if (auto* histogram = std::get_if<HistogramValues>(&values_)) {
    if (series >= histogram->sums.size()) make_room(*histogram, series);
  }
}

void Metric::set(std::uint32_t series, Integer value, Rule::Keep keep) {
  auto& values = std::get<GaugeValues>(values_).values;
  if (series >= values.size()) values.resize(std::size_t{series} + 1);
  auto& kept = values[series];
  if (!kept || keep == Rule::Keep::last ||
      (keep == Rule::Keep::min ? value < *kept : value > *kept))
    kept = value;
}

void Metric::observe_large(std::uint32_t series, Integer value) {
  constexpr Integer most = std::numeric_limits<std::int64_t>::max();
  if (value <= most) return observe(series, static_cast<std::int64_t>(value));
  auto& histogram = std::get<HistogramValues>(values_);
  if (series >= histogram.sums.size()) make_room(histogram, series);
  ++histogram.counts[series * width_ + width_ - 1];
  histogram.sums[series] += value;
}

/// Rows of a histogram's counts for `series` to be there.
void Metric::make_room(HistogramValues& histogram, std::size_t series) const {
  histogram.sums.resize(series + 1);
  histogram.counts.resize((series + 1) * width_);
}

void Metric::hit(std::uint64_t address_or_value) {
  if (auto* heat = std::get_if<HeatMap>(&values_)) {
    heat->hit(address_or_value);
  } else {
    std::get<TopValues>(values_).hit(address_or_value);
  }
}

void Metric::refresh() {
  if (auto* heat = std::get_if<HeatMap>(&values_)) heat->refresh();
}

std::uint64_t Metric::overflow() const {
  const auto* heat = std::get_if<HeatMap>(&values_);
  return overflow_before_ + (heat != nullptr ? heat->overflow() : series_.overflow());
}

}  // namespace qemon::exporters
