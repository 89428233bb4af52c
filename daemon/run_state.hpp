// RunStateClock: the VM's run state as metrics, and how long it has been in each.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string_view>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// Told the run state whenever it may have changed, with the time of it. Knows no clock itself.
class RunStateClock {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// The VM is in `state` from `now` on. Telling the same state again is allowed. A state that is
  /// not of QEMU 11 or older is `other`.
  void changed(std::string_view state, Time now);

  /// Nobody can see the VM from `now` on: no time is added until the next change.
  void lost(Time now);

  /// qemu_run_state, absent while it is not known, and qemu_run_state_seconds_total, which counts
  /// only time in which the state was seen; absent before the first one.
  [[nodiscard]] Figures figures(Time now) const;

 private:
  static constexpr std::size_t states_count = 17;  // With "other".

  std::array<std::chrono::nanoseconds, states_count> spent_{};
  std::optional<std::size_t> current_;
  Time since_;
  bool seen_ = false;
};

}  // namespace qemon::daemon
