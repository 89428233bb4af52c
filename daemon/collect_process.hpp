// The collector `process`: what the host's kernel knows of the QEMU process and its cgroup.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// The texts of files. What may not be read is absent, and so are its figures.
struct ProcessTexts {
  std::optional<std::string> stat;          ///< /proc/PID/stat
  std::optional<std::string> status;        ///< /proc/PID/status
  std::optional<std::string> smaps_rollup;  ///< /proc/PID/smaps_rollup
  std::optional<std::uint64_t> open_fds;
  std::optional<std::uint64_t> boot_time;  ///< Of the host, seconds since the epoch.
};

struct CgroupTexts {
  std::optional<std::string> cpu_pressure;
  std::optional<std::string> memory_pressure;
  std::optional<std::string> io_pressure;
  std::optional<std::string> memory_current;
};

[[nodiscard]] Figures process_figures(const ProcessTexts& texts);
[[nodiscard]] Figures cgroup_figures(const CgroupTexts& texts);

[[nodiscard]] Collector process_collector();

}  // namespace qemon::daemon
