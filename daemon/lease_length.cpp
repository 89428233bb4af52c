#include "daemon/lease_length.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace qemon::daemon {

std::optional<LeaseLength> parse_lease_length(std::string_view text) {
  if (text == "forever") return LeaseLength();
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [unit_at, code] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (code != std::errc() || !std::isfinite(number) || number <= 0) return std::nullopt;
  const std::string_view unit(unit_at, static_cast<std::size_t>(end - unit_at));
  static constexpr std::array<std::pair<std::string_view, double>, 5> units{
      {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}}};
  for (const auto& [name, milliseconds] : units) {
    if (name != unit) continue;
    const double length = number * milliseconds;
    const std::chrono::milliseconds longest = lease_length_max;
    if (length < 1 || length > static_cast<double>(longest.count())) return std::nullopt;
    return LeaseLength(std::chrono::milliseconds(std::llround(length)));
  }
  return std::nullopt;
}

}  // namespace qemon::daemon
