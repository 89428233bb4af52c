// Metric: the integers of one pack metric of one VM.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "exporters/heat_map.hpp"
#include "exporters/pack.hpp"
#include "exporters/pair_table.hpp"
#include "exporters/series_table.hpp"
#include "exporters/top_values.hpp"

namespace qemon::exporters {

/// By series.
struct CounterValues {
  std::vector<std::uint64_t> values;
};

/// By series; absent until the first record.
struct GaugeValues {
  std::vector<std::optional<Integer>> values;
};

/// By series: one count for each bound and one for what is beyond, and the sum.
struct HistogramValues {
  std::vector<std::uint64_t> counts;
  std::vector<Integer> sums;
};

/// Owned by an Engine; outlives the rules that feed it, so that counters go on when packs are
/// switched off and on, changed and loaded again.
class Metric {
 public:
  Metric(std::string name, std::string help, MetricShape shape);
  /// One that begins anew in its place, but for what was counted of records that were left out.
  [[nodiscard]] std::unique_ptr<Metric> successor() const;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& help() const { return help_; }
  void set_help(const std::string& help) { help_ = help; }
  [[nodiscard]] const MetricShape& shape() const { return shape_; }
  [[nodiscard]] SeriesTable& series() { return series_; }
  [[nodiscard]] const SeriesTable& series() const { return series_; }

  /// A series that is there from the beginning, at 0.
  void declare(std::span<const LabelCode> codes);

  /// False if the counter would begin at 0 again; then nothing is added.
  [[nodiscard]] bool add(std::uint32_t series, std::uint64_t amount) {
    auto& values = std::get<CounterValues>(values_).values;
    if (series >= values.size()) values.resize(std::size_t{series} + 1);
    if (amount > ~values[series]) return false;
    values[series] += amount;
    return true;
  }
  void set(std::uint32_t series, Integer value, Rule::Keep keep);
  void observe(std::uint32_t series, std::int64_t value) {
    auto& histogram = std::get<HistogramValues>(values_);
    if (series >= histogram.sums.size()) make_room(histogram, series);
    ++histogram.counts[series * width_ + finder_.find(value)];
    histogram.sums[series] += value;
  }
  /// The same for what may be beyond an int64_t.
  void observe_large(std::uint32_t series, Integer value);
  void hit(std::uint64_t address_or_value);

  using Values = std::variant<CounterValues, GaugeValues, HistogramValues, HeatMap, TopValues>;
  [[nodiscard]] const Values& values() const { return values_; }
  /// Gives the busiest ranges of a heat map their series; before they are shown.
  void refresh();

  /// Records that were left out, by reason.
  std::array<std::uint64_t, evaluation_error_count> errors{};
  /// Of latencies.
  PairCounts pairs{};
  std::uint64_t untimed_records = 0;  ///< Of latencies: records without a time, which are not used.
  /// Whether anything can go to `__other__`: records give values that the pack's file does not
  /// tell.
  bool can_overflow = false;
  /// Whether any rule that feeds it could be used. If none could, nothing is known of it, not even
  /// that it is 0.
  bool is_offered = false;
  /// Whether labels or values are addresses in QEMU's process: they mean nothing in the next one.
  bool tells_addresses = false;
  /// What went to `__other__`.
  [[nodiscard]] std::uint64_t overflow() const;

 private:
  void make_room(HistogramValues& histogram, std::size_t series) const;

  std::string name_;
  std::string help_;
  MetricShape shape_;
  BucketFinder finder_;
  std::size_t width_;  // Of a histogram's row: its buckets, and the one beyond all.
  SeriesTable series_;
  Values values_;
  std::uint64_t overflow_before_ = 0;  // Of those in whose place it is.
};

}  // namespace qemon::exporters
