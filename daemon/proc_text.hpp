// The text of files under /proc and /sys/fs/cgroup, picked apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qemon::daemon {

/// The whole file, or nothing if it cannot be read or is empty.
[[nodiscard]] std::optional<std::string> read_text(const std::string& path);

/// What we use of /proc/PID/stat or /proc/PID/task/TID/stat (proc(5)).
struct TaskStat {
  char state = '?';
  std::uint64_t user_ticks = 0;
  std::uint64_t system_ticks = 0;
  std::uint64_t threads = 0;
  std::uint64_t start_ticks = 0;  ///< After boot.
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_pages = 0;
};
[[nodiscard]] std::optional<TaskStat> parse_task_stat(std::string_view text);

/// /proc/PID/task/TID/schedstat. Nothing also where the kernel does not keep it: all zeroes.
struct TaskSchedule {
  std::uint64_t running_ns = 0;  ///< On a processor.
  std::uint64_t waiting_ns = 0;  ///< Ready to run, while others ran.
};
[[nodiscard]] std::optional<TaskSchedule> parse_schedule(std::string_view text);

/// The value of a line "KEY:   N kB", in bytes.
[[nodiscard]] std::optional<std::uint64_t> kilobytes_field(std::string_view text,
                                                           std::string_view key);

/// A line of a pressure file that begins with `kind` ("some", "full"): its total, in microseconds.
[[nodiscard]] std::optional<std::uint64_t> pressure_total_us(std::string_view text,
                                                             std::string_view kind);

/// The directory of the cgroup (version 2) that /proc/PID/cgroup names, through the mounts that
/// /proc/self/mountinfo tells. Nothing for the root, which is the whole host and says nothing of
/// one process, and for a group outside of what can be seen from here.
[[nodiscard]] std::optional<std::string> cgroup_directory(std::string_view cgroup_text,
                                                          std::string_view mountinfo_text);

/// When the host booted, in seconds since the epoch.
[[nodiscard]] std::optional<std::uint64_t> host_boot_time();

/// Seconds of `ticks` as /proc counts them.
[[nodiscard]] double seconds_of_ticks(std::uint64_t ticks);

}  // namespace qemon::daemon
