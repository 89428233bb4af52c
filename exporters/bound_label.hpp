// BoundLabel: a label of a pack's rule, made ready for the records of one event.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exporters/expression.hpp"
#include "exporters/mistakes.hpp"
#include "exporters/pack.hpp"
#include "exporters/series_table.hpp"
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
  /// Whether its values are made of an address in QEMU's process.
  [[nodiscard]] bool is_address() const { return is_address_; }
  /// The values that the file tells.
  [[nodiscard]] const std::vector<LabelCode>& declared() const { return declared_; }

  [[nodiscard]] EvaluationError evaluate(const trace::Arguments& arguments, SeriesTable& series,
                                         LabelCode& code) const;
  /// The expression that alone tells the value; nullptr if it is a string, or always the same.
  [[nodiscard]] const BoundExpression* number() const {
    return source_ == Source::number ? &value_ : nullptr;
  }

 private:
  enum class Source : std::uint8_t { fixed, number, text };

  void bind_argument(const LabelRule& label, const trace::CatalogEvent& event, SeriesTable& series,
                     Mistakes& mistakes);
  [[nodiscard]] LabelCode decode(Integer value) const;

  Source source_ = Source::fixed;
  bool is_address_ = false;
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

}  // namespace qemon::exporters
