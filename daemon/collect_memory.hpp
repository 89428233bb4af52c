// The collector `memory`: the guest's memory, the balloon, and how fast memory was last seen to be
// written.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// What the clocks of QEMU's host show, in seconds.
struct HostClocks {
  std::optional<double> monotonic;  ///< Since boot; absent if QEMU may be on another host.
  double wall = 0;                  ///< Since the epoch.
};

/// The answers to query-memory-size-summary, query-balloon and query-dirty-rate as metrics; null
/// for one that was refused.
[[nodiscard]] Figures memory_figures(const nlohmann::json& size, const nlohmann::json& balloon,
                                     const nlohmann::json& dirty_rate, const HostClocks& now);

[[nodiscard]] Collector memory_collector();

}  // namespace qemon::daemon
