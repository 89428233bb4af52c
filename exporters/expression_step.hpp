// ExpressionStep: what an expression is compiled to, for a machine with a stack.
#pragma once

#include <cstdint>

namespace qemon::exporters {

/// Wide enough for every argument and every result, so that nothing wraps around unnoticed.
__extension__ typedef __int128 Integer;

enum class ExpressionCode : std::uint8_t {
  constant,
  argument,
  negate,
  invert,
  multiply,
  divide,
  remainder,
  add,
  subtract,
  shift_left,
  shift_right,
  less,
  less_equal,
  greater,
  greater_equal,
  equal,
  not_equal,
  bit_and,
  bit_or,
  and_jump,
  or_jump,  ///< Leave 0 or 1 and jump if that decides, else drop the value.
  truth,    ///< 0 stays 0, all else becomes 1.
};

struct ExpressionStep {
  ExpressionCode code = ExpressionCode::constant;
  bool is_signed = false;   ///< Of an argument.
  std::uint8_t shift = 0;   ///< Of an argument: 64 minus its bits.
  std::uint16_t index = 0;  ///< An argument's, a name's before binding, or where to jump to.
  Integer value = 0;        ///< Of a constant.
};

}  // namespace qemon::exporters
