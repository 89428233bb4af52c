// The daemon's own process as Prometheus families: process_* and qemond_build_info.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

/// Adds process_cpu_seconds_total, process_open_fds, process_max_fds, process_virtual_memory_bytes,
/// process_resident_memory_bytes and process_start_time_seconds: the names of the Prometheus client
/// libraries. Each is read when it is collected; one that cannot be read is absent.
void add_process_metrics(exporters::MetricsPage& page);

/// qemond_build_info{version, revision, compiler} 1. `revision` may be empty, and then there is no
/// such label.
[[nodiscard]] prometheus::MetricFamily build_info(std::string_view version,
                                                  std::string_view revision);

}  // namespace qemon::daemon
