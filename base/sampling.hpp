// Sampling: how much of the time something is observed, as a person writes it: 20ms/1s.
#pragma once

#include <chrono>
#include <compare>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace qemon {

/// For `on` in every `period`.
struct Sampling {
  std::chrono::milliseconds on{};
  std::chrono::milliseconds period{};

  [[nodiscard]] double share() const {
    return static_cast<double>(on.count()) / static_cast<double>(period.count());
  }
  auto operator<=>(const Sampling&) const = default;
};

/// More often would cost the monitor, and with it the guest, more than it saves.
inline constexpr std::chrono::milliseconds sampling_period_min{50};
inline constexpr std::chrono::milliseconds sampling_period_max = std::chrono::hours(1);

/// An Error says what is wrong with it.
[[nodiscard]] Result<void> check_sampling(const Sampling& sampling);
/// "20ms/1s". An Error is a sentence for the person who wrote it.
[[nodiscard]] Result<Sampling> parse_sampling(std::string_view text);
[[nodiscard]] std::string to_string(const Sampling& sampling);

}  // namespace qemon
