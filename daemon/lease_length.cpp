#include "daemon/lease_length.hpp"

#include "base/duration.hpp"

namespace qemon::daemon {

std::optional<LeaseLength> parse_lease_length(std::string_view text) {
  if (text == "forever") return LeaseLength();
  const auto length = parse_duration(text);
  if (!length || *length < std::chrono::milliseconds(1) || *length > lease_length_max)
    return std::nullopt;
  return LeaseLength(*length);
}

}  // namespace qemon::daemon
