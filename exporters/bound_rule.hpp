// BoundRule: what one rule of a pack does with the records of one event, made ready for a VM's
// catalog.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "exporters/expression.hpp"
#include "exporters/metric.hpp"
#include "exporters/pack.hpp"
#include "exporters/pair_table.hpp"
#include "trace/catalog.hpp"
#include "trace/decoder.hpp"

namespace qemon::exporters {

/// One label of one event's records.
class BoundLabel {
 public:
  /// Adds what is wrong to `mistakes`; then the label cannot be used. `event` is nullptr if no
  /// catalog describes the event, whose name is `event_name`.
  BoundLabel(const LabelRule& label, std::string_view event_name, const trace::CatalogEvent* event,
             SeriesTable& series, Mistakes& mistakes);

  [[nodiscard]] bool needs_arguments() const { return source_ != Source::fixed; }
  /// The values that the file tells.
  [[nodiscard]] const std::vector<LabelCode>& declared() const { return declared_; }

  [[nodiscard]] EvaluationError evaluate(const trace::Arguments& arguments, SeriesTable& series,
                                         LabelCode& code) const;

 private:
  enum class Source : std::uint8_t { fixed, number, text };

  void bind_argument(const LabelRule& label, const trace::CatalogEvent& event, SeriesTable& series,
                     Mistakes& mistakes);
  [[nodiscard]] LabelCode decode(Integer value) const;

  Source source_ = Source::fixed;
  LabelRule::Decode decode_ = LabelRule::Decode::none;
  BoundExpression value_;
  std::size_t argument_ = 0;
  unsigned bits_from_ = 0;
  std::uint64_t bits_mask_ = 0;
  std::vector<std::pair<Integer, LabelCode>> numbers_;    // Of a map, ascending.
  std::vector<std::pair<std::string, LabelCode>> texts_;  // Of a map of strings, ascending.
  std::optional<LabelCode> other_;
  std::vector<LabelCode> declared_;
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
  /// `arguments` is nullptr if they could not be read.
  void apply(const trace::Record& record, const trace::Arguments* arguments) const;
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
  EvaluationError use(const trace::Record& record, const trace::Arguments& arguments) const;
  EvaluationError use_value(const trace::Arguments& arguments) const;
  EvaluationError begin_or_end(const trace::Record& record,
                               const trace::Arguments& arguments) const;
  EvaluationError evaluate_labels(const trace::Arguments& arguments, Codes& codes) const;
  [[nodiscard]] std::uint32_t series_of(const Codes& codes, unsigned open) const;

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
  unsigned open_ = 0;                          // Over all labels of the rule: a bit each.
  bool all_fixed_ = false;                     // Every label is.
  std::optional<std::uint32_t> fixed_series_;  // Then; known once it is declared.
};

}  // namespace qemon::exporters
