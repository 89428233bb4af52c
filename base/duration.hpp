// Durations as people write them.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace qemon {

/// A number that is not negative and its unit, for instance "500ms", "30s", "1.5m", "2h" or "1d";
/// to the millisecond. What is beyond 10,000 years is cut. Nothing if it is none.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace qemon
