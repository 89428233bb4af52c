// The collector `replay`: how many instructions the guest has executed, where QEMU counts them
// (-icount).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// The answer to query-replay as metrics.
[[nodiscard]] Figures replay_figures(const nlohmann::json& replay);

[[nodiscard]] Collector replay_collector();

}  // namespace qemon::daemon
