// The collector `block`: what QEMU counts about each block device by itself (query-blockstats).
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// Calls `visit` with each backend in the answer to query-blockstats and its label `device`, which
/// is unique: block_device_name, or where that is taken its whole qdev path or its node's name.
/// Backends without any name are left out, and so are the nodes below (`parent`, `backing`), in
/// which QEMU counts nothing.
void for_each_backend(
    const nlohmann::json& blockstats,
    const std::function<void(const nlohmann::json& backend, const std::string& device)>& visit);

/// The answer to query-blockstats as metrics.
[[nodiscard]] Figures block_figures(const nlohmann::json& blockstats);

[[nodiscard]] Collector block_collector();

}  // namespace qemon::daemon
