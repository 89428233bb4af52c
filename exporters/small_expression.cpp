#include "exporters/small_expression.hpp"

#include <array>

#include "exporters/expression.hpp"

namespace qemon::exporters {

SmallExpression::SmallExpression(std::span<const ExpressionStep> code) {
  const auto is_between = [](Code it, Code first, Code last) { return it >= first && it <= last; };
  std::vector<std::size_t> places;  // Of the steps of `code` among ours.
  for (const auto& from : code) {
    places.push_back(steps_.size());
    Step step;
    step.code = from.code;
    step.is_argument = from.code == Code::argument;
    step.is_signed = from.is_signed;
    step.shift = from.shift;
    step.index = from.index;
    step.value = static_cast<std::int64_t>(from.value);
    step.fits = from.value == step.value;
    const auto size = steps_.size();
    // No jump goes to the operator: all go behind a `truth`, and no argument or number stands
    // there.
    if (is_between(step.code, Code::multiply, Code::bit_or) && size >= 2 &&
        steps_[size - 1].code == Code::constant && steps_[size - 1].fits) {
      step.value = steps_[size - 1].value;
      step.has_constant = true;
      steps_.pop_back();
      Step& before = steps_.back();
      if (before.code == Code::argument) {
        before.code = step.code;
        before.value = step.value;
      } else {
        steps_.push_back(step);
      }
    } else if (step.code != Code::truth || size == 0 ||
               !is_between(steps_.back().code, Code::less, Code::not_equal)) {
      steps_.push_back(step);
    }
  }
  places.push_back(steps_.size());
  is_single_ = steps_.size() == 1;
  if (is_single_) single_ = steps_.front();
  for (auto& step : steps_)
    if (step.code == Code::and_jump || step.code == Code::or_jump)
      step.index = static_cast<std::uint16_t>(places[step.index]);
}

std::optional<Proportion> SmallExpression::proportion() const {
  if (!is_single_) return std::nullopt;
  if (!single_.is_argument)
    return single_.code == Code::constant && single_.fits
               ? std::optional(Proportion{std::nullopt, single_.value})
               : std::nullopt;
  if (single_.code == Code::argument) return Proportion{single_.index, 1};
  if (single_.code == Code::multiply) return Proportion{single_.index, single_.value};
  return std::nullopt;
}

bool SmallExpression::run(const trace::Arguments& arguments, std::int64_t& result) const {
  std::array<std::int64_t, Expression::stack_max> stack;
  std::int64_t* top = stack.data() - 1;
  for (auto step = steps_.begin(); step != steps_.end(); ++step) {
    if (step->is_argument || step->code == Code::constant) {
      if (!push(*step, arguments, *++top)) return false;
      continue;
    }
    if (step->has_constant) {
      if (!apply(step->code, *top, step->value, *top)) return false;
      continue;
    }
    switch (step->code) {
      case Code::negate:
        if (__builtin_sub_overflow(std::int64_t{0}, *top, top)) return false;
        break;
      case Code::invert:
        *top = *top == 0;
        break;
      case Code::truth:
        *top = *top != 0;
        break;
      case Code::and_jump:
      case Code::or_jump:
        if ((*top != 0) == (step->code == Code::or_jump)) {
          *top = *top != 0;
          step = steps_.begin() + step->index - 1;
        } else {
          --top;
        }
        break;
      default:
        --top;
        if (!apply(step->code, top[0], top[1], top[0])) return false;
    }
  }
  result = stack[0];
  return true;
}

}  // namespace qemon::exporters
