// How deep JSON nests, looked at before a parser builds values that are copied and written by
// recursion.
#pragma once

#include <cstddef>
#include <string_view>

namespace qemon {

/// No JSON of ours nests deeper.
inline constexpr std::size_t json_depth_max = 64;

/// Whether arrays and objects are nested deeper than `depth_max` in `text`, which need not be JSON.
/// Brackets in strings do not count.
[[nodiscard]] bool nests_deeper_than(std::string_view text, std::size_t depth_max);

}  // namespace qemon
