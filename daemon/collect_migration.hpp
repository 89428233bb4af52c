// The collector `migration`: how far a migration has come (query-migrate).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// The answer to query-migrate as metrics; none if there has been no migration.
[[nodiscard]] Figures migration_figures(const nlohmann::json& migration);

[[nodiscard]] Collector migration_collector();

}  // namespace qemon::daemon
