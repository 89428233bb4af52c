#include "base/duration.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace qemon {

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 5> units{
      {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}}};
  constexpr double longest = 10'000 * 365.25 * 86400e3;
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [unit_at, code] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (code != std::errc() || !std::isfinite(number) || std::signbit(number)) return std::nullopt;
  const std::string_view unit(unit_at, static_cast<std::size_t>(end - unit_at));
  for (const auto& [name, milliseconds] : units) {
    if (name == unit)
      return std::chrono::milliseconds(std::llround(std::min(number * milliseconds, longest)));
  }
  return std::nullopt;
}

}  // namespace qemon
