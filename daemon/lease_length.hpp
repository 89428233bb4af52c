// How long a lease is to last, as a person writes it: 30s, 10m, 2h, 1d, forever.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace qemon::daemon {

/// Absent: until somebody ends it.
using LeaseLength = std::optional<std::chrono::milliseconds>;

/// More is as good as forever, and would be a mistake of units.
inline constexpr std::chrono::hours lease_length_max{24 * 366 * 10};

/// What leases of the command line last if nothing is said: probes that nobody ends are forgotten
/// ones.
inline constexpr std::chrono::milliseconds default_lease_length = std::chrono::hours(1);

/// Nothing if `text` is no length.
[[nodiscard]] std::optional<LeaseLength> parse_lease_length(std::string_view text);

}  // namespace qemon::daemon
