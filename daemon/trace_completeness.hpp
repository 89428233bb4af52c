// TraceCompleteness: the share of the last minute in which nothing of a trace was lost.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

namespace qemon::daemon {

/// Pure bookkeeping, owned by a Vm: told a few times a second, while events are on, how much was
/// lost until then. The time between two tellings is without loss if that did not grow.
class TraceCompleteness {
 public:
  using Clock = std::chrono::steady_clock;

  /// `losses`: a total of whatever, that grows when something is lost. `losing`: something is being
  /// lost without being counted.
  void tick(Clock::time_point now, std::uint64_t losses, bool losing);
  /// Nothing is traced any more.
  void stop();

  /// Absent before the second tick, and after stop().
  [[nodiscard]] std::optional<double> ratio(Clock::time_point now) const;

 private:
  struct Loss {
    Clock::time_point from;
    Clock::time_point to;
  };

  std::optional<Clock::time_point> since_;
  Clock::time_point last_;
  std::uint64_t losses_ = 0;
  std::deque<Loss> spans_;  // In order, apart, and of the last minute; one for each tick at most.
};

}  // namespace qemon::daemon
