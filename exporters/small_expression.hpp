// SmallExpression: an expression in 64 bits, for nearly all records.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "exporters/expression_step.hpp"
#include "trace/decoder.hpp"

namespace qemon::exporters {

/// `argument * factor`: of a sum of arguments it is the sum of what it is of each.
struct Proportion {
  std::optional<std::uint16_t> argument;  ///< Absent: each record counts `factor`.
  std::int64_t factor = 1;
};

/// Gives what BoundExpression gives or nothing, but much faster. An operator takes the number
/// behind it along, and an argument the operator, so that most of what packs say is one step.
class SmallExpression {
 public:
  /// The constant 0.
  SmallExpression() = default;
  /// The steps of an expression that is bound to an event.
  explicit SmallExpression(std::span<const ExpressionStep> code);

  /// False if a value on the way does not fit an int64_t, or there is none, as for a division by 0.
  [[nodiscard]] bool evaluate(const trace::Arguments& arguments, std::int64_t& result) const {
    return is_single_ ? push(single_, arguments, result) : run(arguments, result);
  }

  /// If the expression is a number, an argument, or an argument times a number.
  [[nodiscard]] std::optional<Proportion> proportion() const;

 private:
  using Code = ExpressionCode;
  struct Step {
    Code code = Code::constant;
    bool fits = true;           ///< Of a constant: into `value`.
    bool is_argument = false;   ///< Or an operator between one and `value`.
    bool has_constant = false;  ///< An operator between what there is and `value`.
    bool is_signed = false;
    std::uint8_t shift = 0;
    std::uint16_t index = 0;
    std::int64_t value = 0;
  };

  static bool push(const Step& step, const trace::Arguments& arguments, std::int64_t& result) {
    if (!step.is_argument) {
      result = step.value;
      return step.fits;
    }
    const std::uint64_t bits = arguments.values[step.index].bits << step.shift;
    const auto argument = step.is_signed ? static_cast<std::int64_t>(bits) >> step.shift
                                         : static_cast<std::int64_t>(bits >> step.shift);
    if (argument < 0 && !step.is_signed) return false;
    if (step.code != Code::argument) return apply(step.code, argument, step.value, result);
    result = argument;
    return true;
  }
  static bool apply(Code code, std::int64_t left, std::int64_t right, std::int64_t& result);
  bool run(const trace::Arguments& arguments, std::int64_t& result) const;

  bool is_single_ = true;
  Step single_;  // The only step, which needs no way to the others' memory.
  std::vector<Step> steps_;
};

inline bool SmallExpression::apply(Code code, std::int64_t left, std::int64_t right,
                                   std::int64_t& result) {
  switch (code) {
    case Code::multiply:
      return !__builtin_mul_overflow(left, right, &result);
    case Code::divide:
    case Code::remainder:
      if (right == 0 || right == -1) return false;  // The least number has no opposite.
      result = code == Code::divide ? left / right : left % right;
      return true;
    case Code::add:
      return !__builtin_add_overflow(left, right, &result);
    case Code::subtract:
      return !__builtin_sub_overflow(left, right, &result);
    case Code::shift_left:
      if (right < 0 || right > 62) return false;
      return !__builtin_mul_overflow(left, std::int64_t{1} << right, &result);
    case Code::shift_right:
      if (right < 0 || right > 63) return false;
      result = left >> right;
      return true;
    case Code::less:
      result = left < right;
      return true;
    case Code::less_equal:
      result = left <= right;
      return true;
    case Code::greater:
      result = left > right;
      return true;
    case Code::greater_equal:
      result = left >= right;
      return true;
    case Code::equal:
      result = left == right;
      return true;
    case Code::not_equal:
      result = left != right;
      return true;
    case Code::bit_and:
      result = left & right;
      return true;
    default:
      result = left | right;
      return true;
  }
}

}  // namespace qemon::exporters
