// What stands in front of an event's name in a line of QEMU's log: time, thread, program.
#pragma once

#include <cstdint>

namespace qemon::trace {

struct LogPrefix {
  bool has_time = false;
  std::int64_t time_ns = 0;  ///< Since the epoch.
  std::uint32_t id = 0;      ///< Thread id; 0 if the line does not tell.
};

/// Reads the prefix of the line [at, end) that `-msg timestamp=on` makes, and returns what follows
/// it; `at` itself if there is none. The forms:
///   "30048@1795377070.851320:"        QEMU 10.0 and older
///   "2026-11-22T20:17:07.141597Z "    QEMU 10.1 and newer; GLib leaves a zero fraction out
const char* parse_log_time(const char* at, const char* end, LogPrefix& prefix);

/// Reads "[GUEST] " and "PROGRAM(TID:THREAD): ", each optional, which a pending change of QEMU
/// ("util: sync error_report & qemu_log output more closely", 2026) puts behind the time, and
/// returns what follows; `at` itself if there is neither.
const char* parse_log_program(const char* at, const char* end, LogPrefix& prefix);

}  // namespace qemon::trace
