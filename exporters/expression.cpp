#include "exporters/expression.hpp"

#include <algorithm>

#include "exporters/mistakes.hpp"

namespace qemon::exporters {
namespace {

bool in_range(Integer value) {
  return value >= integer_min && value <= integer_max;
}

/// Stores a result that may be out of range.
EvaluationError checked(Integer value, Integer& result) {
  result = value;
  return in_range(value) ? EvaluationError::none : EvaluationError::overflow;
}

EvaluationError shift(Integer left, Integer right, bool to_the_left, Integer& result) {
  if (right < 0 || right > 63) return EvaluationError::overflow;
  const auto count = static_cast<unsigned>(right);
  if (!to_the_left) return checked(left >> count, result);
  // A multiplication, since what is shifted may be negative: 2^64 times 2^63 just fits.
  return checked(left * (Integer{1} << count), result);
}

}  // namespace

std::string_view to_string(EvaluationError error) {
  switch (error) {
    case EvaluationError::none:
      return "none";
    case EvaluationError::division_by_zero:
      return "division_by_zero";
    case EvaluationError::overflow:
      return "overflow";
    case EvaluationError::negative:
      return "negative";
    case EvaluationError::arguments:
      return "arguments";
  }
  return "unknown";
}

EvaluationError BoundExpression::apply(Code code, Integer left, Integer right, Integer& result) {
  switch (code) {
    case Code::multiply: {
      // Two factors below 2^64 in magnitude: only the product of two large ones leaves 128 bits.
      Integer product = 0;
      if (__builtin_mul_overflow(left, right, &product)) return EvaluationError::overflow;
      return checked(product, result);
    }
    case Code::divide:
    case Code::remainder:
      if (right == 0) return EvaluationError::division_by_zero;
      return checked(code == Code::divide ? left / right : left % right, result);
    case Code::add:
      return checked(left + right, result);
    case Code::subtract:
      return checked(left - right, result);
    case Code::shift_left:
    case Code::shift_right:
      return shift(left, right, code == Code::shift_left, result);
    case Code::less:
      return checked(left < right, result);
    case Code::less_equal:
      return checked(left <= right, result);
    case Code::greater:
      return checked(left > right, result);
    case Code::greater_equal:
      return checked(left >= right, result);
    case Code::equal:
      return checked(left == right, result);
    case Code::not_equal:
      return checked(left != right, result);
    case Code::bit_and:
      return checked(left & right, result);
    default:
      return checked(left | right, result);
  }
}

EvaluationError BoundExpression::evaluate_exactly(const trace::Arguments& arguments,
                                                  Integer& result) const {
  std::array<Integer, Expression::stack_max> stack;
  std::size_t top = 0;  // How many values there are.
  for (std::size_t at = 0; at < code_.size(); ++at) {
    const Step& step = code_[at];
    switch (step.code) {
      case Code::constant:
        stack[top++] = step.value;
        break;
      case Code::argument:
        stack[top++] = read(step, arguments);
        break;
      case Code::negate:
        if (const auto error = checked(-stack[top - 1], stack[top - 1]);
            error != EvaluationError::none)
          return error;
        break;
      case Code::invert:
        stack[top - 1] = stack[top - 1] == 0;
        break;
      case Code::truth:
        stack[top - 1] = stack[top - 1] != 0;
        break;
      case Code::and_jump:
      case Code::or_jump:
        if ((stack[top - 1] != 0) == (step.code == Code::or_jump)) {
          stack[top - 1] = stack[top - 1] != 0;
          at = std::size_t{step.index} - 1;
        } else {
          --top;
        }
        break;
      default: {
        --top;
        const auto error = apply(step.code, stack[top - 1], stack[top], stack[top - 1]);
        if (error != EvaluationError::none) return error;
      }
    }
  }
  result = top == 0 ? 0 : stack[0];
  return EvaluationError::none;
}

Expression Expression::constant(std::int64_t value) {
  Expression made;
  made.text_ = std::to_string(value);
  Step step;
  step.value = value;
  made.code_.push_back(step);
  return made;
}

Result<std::size_t> find_argument(const trace::CatalogEvent& event, std::string_view name) {
  std::vector<std::string_view> names;
  std::string all;
  for (std::size_t i = 0; i < event.arguments.size(); ++i) {
    const auto& argument = event.arguments[i].name;
    if (argument == name) return i;
    names.push_back(argument);
    all += (all.empty() ? "" : ", ") + argument;
  }
  return Error{"event " + event.name + " has no argument \"" + std::string(name) +
               "\":" + did_you_mean(name, names) + " It has " + (all.empty() ? "none" : all)};
}

Error not_described(std::string_view event_name) {
  return Error{
      "the arguments of event " + std::string(event_name) +
      " are not known: no trace-events-all of this QEMU was found (give it with --trace-events)"};
}

bool uses_pointer(const Expression& expression, const trace::CatalogEvent& event) {
  return std::any_of(expression.names().begin(), expression.names().end(), [&](const auto& name) {
    const auto place = find_argument(event, name);
    return place && event.arguments[*place].kind == trace::ArgumentKind::pointer;
  });
}

Result<BoundExpression> Expression::bind(const trace::CatalogEvent& event) const {
  std::vector<std::size_t> places;
  for (const auto& name : names_) {
    const auto place = find_argument(event, name);
    if (!place) return place.error();
    if (event.arguments[*place].kind == trace::ArgumentKind::string) {
      return Error{"argument \"" + name + "\" of event " + event.name +
                   " is a string, which has no number: use it as a label, or leave it out"};
    }
    places.push_back(*place);
  }
  BoundExpression bound;
  bound.code_ = code_;
  for (auto& step : bound.code_) {
    if (step.code != Code::argument) continue;
    step.index = static_cast<std::uint16_t>(places[step.index]);
    const auto& argument = event.arguments[step.index];
    step.is_signed = argument.kind == trace::ArgumentKind::signed_integer;
    step.shift = static_cast<std::uint8_t>(64 - std::clamp<int>(argument.bits, 1, 64));
    bound.needs_arguments_ = true;
  }
  bound.small_ = SmallExpression(bound.code_);
  return bound;
}

}  // namespace qemon::exporters
