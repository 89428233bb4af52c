// What an event costs: windows with it on and with it off, compared.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qemon::daemon {

/// What happened while one window lasted.
struct CostWindow {
  bool on = false;
  double seconds = 0;
  std::uint64_t records = 0;  ///< Of the event.
  std::uint64_t bytes = 0;    ///< Of the trace.
  std::uint64_t dropped = 0;
  std::optional<double> cpu_seconds;  ///< That QEMU's process used; absent if it cannot be seen.
};

/// One row of the answer.
struct EventCost {
  std::string event;
  std::optional<double> records_per_second;  ///< Absent if it was not measured; `note` says why.
  /// Absent where the event was on anyway: the trace's bytes are then not those of one event.
  std::optional<double> bytes_per_second;
  std::uint64_t dropped = 0;
  /// Processor time that QEMU used more per second. Absent below the noise.
  std::optional<double> cpu_cores;
  /// The same for each record, those that QEMU dropped too. Absent as well if there were fewer than
  /// 100.
  std::optional<double> cpu_seconds_per_record;
  std::string note;  ///< What kept it from being measured, or from being measured in full.
};

/// What became of a request, for one VM.
struct CostReport {
  std::string backend;  ///< Whose costs these are: "simple", "usdt".
  std::vector<EventCost> events;
  std::vector<std::string> unknown;  ///< Patterns that match no event.
  std::string error;                 ///< Why nothing could be done at all.
};

/// Fills in the figures from windows of which some had the event on.
void compare_windows(std::span<const CostWindow> windows, EventCost& cost);

/// Processor time that all threads of a process ever used, also those that are gone.
[[nodiscard]] std::optional<double> process_cpu_seconds(pid_t pid);

}  // namespace qemon::daemon
