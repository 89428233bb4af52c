// BootClock: time since the host's boot, the only time that leases know, so that setting the wall
// clock does not move their ends.
#pragma once

#include <chrono>
#include <string>

namespace qemon::daemon {

/// CLOCK_BOOTTIME. Unlike std::chrono::steady_clock it goes on while the host sleeps, and means the
/// same to every process, so a journal can hold it.
struct BootClock {
  // NOLINTBEGIN(readability-identifier-naming): the names that std::chrono asks for.
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  // NOLINTEND(readability-identifier-naming)
  static constexpr bool is_steady = true;

  [[nodiscard]] static time_point now() noexcept;
};

/// When that was or will be by the wall clock as it is set now.
[[nodiscard]] std::chrono::system_clock::time_point wall_time(BootClock::time_point time);

/// Names this run of the kernel: another one means that all times of BootClock are of another life.
/// Empty if the kernel does not tell.
[[nodiscard]] const std::string& boot_id();

}  // namespace qemon::daemon
