// BoundRule: what one rule of a pack does with the records of one event, made ready for a VM's
// catalog.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "exporters/bound_label.hpp"
#include "exporters/expression.hpp"
#include "exporters/metric.hpp"
#include "exporters/pack.hpp"
#include "exporters/pair_table.hpp"
#include "trace/catalog.hpp"
#include "trace/decoder.hpp"

namespace qemon::exporters {

/// Remembers the series that a label's numbers had lately: most records are of a few lines, vectors
/// or devices. Takes no memory before the first: of what a VM's packs can count, little occurs.
class SeriesMemo {
 public:
  explicit SeriesMemo(SmallExpression number) : number_(std::move(number)) {}

  /// SeriesTable::none if the number was not seen lately.
  [[nodiscard]] std::uint32_t find(const trace::Arguments& arguments) const {
    std::int64_t number = 0;
    if (entries_.empty() || !number_.evaluate(arguments, number) || number < 0)
      return SeriesTable::none;
    const Entry& entry = entries_[place(number)];
    return entry.number == number ? entry.series : SeriesTable::none;
  }
  void keep(const trace::Arguments& arguments, std::uint32_t series) {
    std::int64_t number = 0;
    if (!number_.evaluate(arguments, number) || number < 0) return;
    entries_.resize(std::size_t{1} << size_bits);
    entries_[place(number)] = {number, series};
  }

 private:
  static constexpr unsigned size_bits = 6;
  struct Entry {
    std::int64_t number = 0;
    std::uint32_t series = SeriesTable::none;
  };
  static std::size_t place(std::int64_t number) {
    return static_cast<std::uint64_t>(number) * 0x9e3779b97f4a7c15 >> (64 - size_bits);
  }

  SmallExpression number_;
  std::vector<Entry> entries_;
};

/// Which part an event has in a rule.
enum class Side : std::uint8_t { single, begin, end };

/// Owned by an Engine's plan; feeds a Metric that outlives it. Applying it allocates nothing but
/// for a label value that is seen for the first time.
class BoundRule {
 public:
  /// Adds what is wrong to `mistakes`; then the rule cannot be used. `pairs` is of latencies only.
  BoundRule(const Rule& rule, Side side, std::string_view event_name,
            const trace::CatalogEvent* event, Metric& metric, PairTable* pairs, Mistakes& mistakes);

  [[nodiscard]] bool needs_arguments() const { return needs_arguments_; }
  void apply(const trace::Record& record, const trace::Arguments& arguments) const;
  /// For a record whose arguments could not be read.
  void apply_unreadable(const trace::Record& record) const;
  /// If all that the rule does is to add this up, in one series; known once it is declared.
  [[nodiscard]] std::optional<Proportion> only_adds() const;
  /// For so many records at once, of which `sums` are the sums of `arguments` (see
  /// RecordSink::on_summed). Does nothing unless only_adds().
  void apply_summed(std::uint64_t records, std::span<const std::uint8_t> arguments,
                    std::span<const std::uint64_t> sums) const;
  [[nodiscard]] PairTable* pairs() const { return pairs_; }
  [[nodiscard]] const Metric& metric() const { return *metric_; }
  /// Makes the series that the file tells, at 0. `other`: the rule of the other side of a latency.
  void declare(const BoundRule* other);

 private:
  using Codes = std::array<LabelCode, labels_max>;

  void bind_labels(const Rule& rule, std::string_view event_name, const trace::CatalogEvent* event,
                   Mistakes& mistakes);
  BoundExpression bind(const Rule& rule, const std::string& key, const Expression& expression,
                       std::string_view event_name, const trace::CatalogEvent* event,
                       Mistakes& mistakes);
  [[nodiscard]] std::uint32_t known_series(const trace::Arguments& arguments) const;
  void apply_latency(const trace::Record& record, const trace::Arguments& arguments) const;
  /// Whatever the rule and the record are.
  [[gnu::noinline]] void apply_exactly(const trace::Record& record,
                                       const trace::Arguments& arguments) const;
  void count(EvaluationError error) const;
  EvaluationError use(const trace::Record& record, const trace::Arguments& arguments) const;
  EvaluationError use_value(const trace::Arguments& arguments) const;
  EvaluationError begin_or_end(const trace::Record& record,
                               const trace::Arguments& arguments) const;
  EvaluationError end(const PairTable::Key& key, std::int64_t time_ns,
                      const trace::Arguments& arguments) const;
  EvaluationError find_series(const trace::Arguments& arguments, std::uint32_t& series) const;
  EvaluationError evaluate_labels(const trace::Arguments& arguments, Codes& codes) const;
  [[nodiscard]] std::uint32_t series_of(const Codes& codes) const;

  MetricKind kind_;
  Side side_;
  Rule::Keep keep_;
  bool needs_arguments_ = false;
  Metric* metric_;
  PairTable* pairs_;
  std::optional<BoundExpression> when_;
  BoundExpression value_;
  std::vector<BoundExpression> key_;
  std::vector<std::pair<std::size_t, BoundLabel>> labels_;  // With their places.
  mutable std::optional<SeriesMemo> memo_;  // If one label alone is not fixed, and is a number.
  unsigned open_ = 0;                       // Over all labels of the rule: a bit each.
  bool all_fixed_ = false;                  // Every label is.
  /// If all are, those of a latency's other side too; known once it is declared.
  std::uint32_t fixed_series_ = SeriesTable::none;
};

/// The series, as far as it can be told without making labels.
inline std::uint32_t BoundRule::known_series(const trace::Arguments& arguments) const {
  return memo_ ? memo_->find(arguments) : fixed_series_;
}

// What most records need stands here, and leaves all else to apply_exactly.
inline void BoundRule::apply(const trace::Record& record, const trace::Arguments& arguments) const {
  if (when_) {
    std::int64_t wanted = 0;
    if (!when_->small().evaluate(arguments, wanted)) return apply_exactly(record, arguments);
    if (wanted == 0) return;
  }
  if (kind_ == MetricKind::latency) return apply_latency(record, arguments);
  const bool adds = kind_ == MetricKind::counter;
  if (!adds && kind_ != MetricKind::histogram) return apply_exactly(record, arguments);
  std::int64_t value = 0;
  if (!value_.small().evaluate(arguments, value) || value < 0)
    return apply_exactly(record, arguments);
  const auto series = known_series(arguments);
  if (series == SeriesTable::none) return apply_exactly(record, arguments);
  if (!adds) return metric_->observe(series, value);
  if (!metric_->add(series, static_cast<std::uint64_t>(value))) apply_exactly(record, arguments);
}

}  // namespace qemon::exporters
