#include "base/json_nesting.hpp"

namespace qemon {

bool nests_deeper_than(std::string_view text, std::size_t depth_max) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char each = text[at];
    if (each == '"') {
      in_string = !in_string;
    } else if (in_string) {
      if (each == '\\') ++at;  // What is escaped ends no string.
    } else if (each == '[' || each == '{') {
      if (++depth > depth_max) return true;
    } else if ((each == ']' || each == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

}  // namespace qemon
