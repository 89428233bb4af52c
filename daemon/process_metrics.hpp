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

/// What we use of /proc/PID/stat (proc(5)).
struct ProcessStat {
  std::uint64_t start_ticks = 0;  ///< After boot, in clock ticks.
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_pages = 0;
};
/// Nothing if the text is not that of such a file. The program's name in it may contain blanks and
/// parentheses.
[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view text);

}  // namespace qemon::daemon
