// BudgetSettings: what one VM's trace may cost, as it is told in the configuration.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace qemon::daemon {

/// What is told; the rest has defaults. An infinite figure is no limit.
struct BudgetSettings {
  std::optional<double> records;      ///< A second.
  std::optional<double> bytes;        ///< A second.
  std::optional<double> drops;        ///< A second, as QEMU counts them.
  std::optional<double> lag_seconds;  ///< Age of the newest record that was read.
  std::optional<std::chrono::milliseconds> grace;

  /// What `later` tells takes the place of what was told here.
  void add(const BudgetSettings& later);
  bool operator==(const BudgetSettings&) const = default;
};

/// "unlimited", or "records=100000,bytes=64MiB,drops=0,lag=5s,grace=5s" in any part and order.
[[nodiscard]] Result<BudgetSettings> parse_budget(std::string_view text);
/// One of them, for instance "records" and "100000".
[[nodiscard]] Result<void> set_budget_value(std::string_view key, const std::string& value,
                                            BudgetSettings& settings);

[[nodiscard]] bool is_budget_key(std::string_view word);

struct BudgetLimits {
  double records;
  double bytes;
  double drops;
  double lag_seconds;
  std::chrono::milliseconds grace;

  /// False if nothing is limited.
  [[nodiscard]] bool any() const;
  bool operator==(const BudgetLimits&) const = default;
};

/// `settings` with the defaults for a QEMU of the `simple` or of the `log` backend.
[[nodiscard]] BudgetLimits budget_limits(const BudgetSettings& settings, bool simple);

}  // namespace qemon::daemon
