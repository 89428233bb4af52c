// The collector `sync-profile`: where QEMU's threads wait for locks.
#pragma once

#include <string_view>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// What `info sync-profile` prints as metrics, by type of lock and call site.
[[nodiscard]] Figures sync_profile_figures(std::string_view text);

[[nodiscard]] Collector sync_profile_collector();

}  // namespace qemon::daemon
