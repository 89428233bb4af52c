// Expression: integer arithmetic over an event's arguments, as packs write it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "exporters/expression_step.hpp"
#include "exporters/small_expression.hpp"
#include "trace/catalog.hpp"
#include "trace/decoder.hpp"

namespace qemon::exporters {

/// Results are from -2^63 to 2^64 - 1: what an int64_t or a uint64_t can hold.
inline constexpr Integer integer_min = -(Integer{1} << 63);
inline constexpr Integer integer_max = (Integer{1} << 64) - 1;

/// Why a record could not be used; exported as the label `reason`.
enum class EvaluationError : std::uint8_t {
  none,
  division_by_zero,
  overflow,   ///< A result that neither 64-bit type holds, or a shift by less than 0 or more
              ///< than 63.
  negative,   ///< A counter would go back, or a pair's end is before its begin.
  arguments,  ///< The record's arguments could not be read.
};
inline constexpr std::size_t evaluation_error_count = 5;
/// The label value, for instance "division_by_zero".
[[nodiscard]] std::string_view to_string(EvaluationError error);

/// An expression made ready for one event. Copies are cheap enough for compile time; evaluating
/// allocates nothing.
class BoundExpression {
 public:
  /// The constant 0.
  BoundExpression() = default;

  /// EvaluationError::none and `result`, or why there is none.
  [[nodiscard]] EvaluationError evaluate(const trace::Arguments& arguments, Integer& result) const {
    std::int64_t small = 0;
    if (!small_.evaluate(arguments, small)) return evaluate_exactly(arguments, result);
    result = small;
    return EvaluationError::none;
  }
  /// The same without the shortcut.
  [[nodiscard]] EvaluationError evaluate_exactly(const trace::Arguments& arguments,
                                                 Integer& result) const;
  /// The faster way for most records.
  [[nodiscard]] const SmallExpression& small() const { return small_; }
  /// Whether a record's arguments are needed to evaluate it.
  [[nodiscard]] bool needs_arguments() const { return needs_arguments_; }

 private:
  friend class Expression;

  using Code = ExpressionCode;
  using Step = ExpressionStep;

  static Integer read(const Step& step, const trace::Arguments& arguments) {
    const std::uint64_t bits = arguments.values[step.index].bits << step.shift;
    if (step.is_signed) return static_cast<std::int64_t>(bits) >> step.shift;
    return bits >> step.shift;
  }
  static EvaluationError apply(Code code, Integer left, Integer right, Integer& result);

  std::vector<Step> code_;
  SmallExpression small_;
  bool needs_arguments_ = false;
};

/// A parsed expression; docs/packs.md describes the language. Needs no catalog until it is bound.
class Expression {
 public:
  /// The constant 0.
  Expression() = default;

  /// At most 500 characters, 20 levels of nesting and 16 values waiting for an operator. The Error
  /// says what is wrong and where.
  [[nodiscard]] static Result<Expression> parse(std::string_view text);
  [[nodiscard]] static Expression constant(std::int64_t value);

  /// Looks its names up among the arguments of `event`. The Error names the one that is not there
  /// or is a string, and the cure.
  [[nodiscard]] Result<BoundExpression> bind(const trace::CatalogEvent& event) const;

  [[nodiscard]] const std::string& text() const { return text_; }
  /// The arguments that it names, each once.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  /// True if it is the name of an argument and nothing else.
  [[nodiscard]] bool is_name() const { return code_.size() == 1 && names_.size() == 1; }

  static constexpr std::size_t stack_max = 16;

 private:
  friend class ExpressionParser;
  using Code = ExpressionCode;
  using Step = ExpressionStep;

  std::string text_;
  std::vector<std::string> names_;
  std::vector<Step> code_;
};

/// The argument's place, or an Error that names the event, the argument and the cure.
[[nodiscard]] Result<std::size_t> find_argument(const trace::CatalogEvent& event,
                                                std::string_view name);
/// Of what needs arguments, where no catalog describes the event: why it cannot be used, and what
/// helps.
[[nodiscard]] Error not_described(std::string_view event_name);
/// Whether a pointer is among the arguments of `event` that the expression is made of.
[[nodiscard]] bool uses_pointer(const Expression& expression, const trace::CatalogEvent& event);

}  // namespace qemon::exporters
