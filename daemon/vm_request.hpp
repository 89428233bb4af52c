// Vm::SwitchRequest and Vm::CostRequest: wishes to switch events and to know their cost, on their
// way from the control socket to a VM's session.
#pragma once

#include "daemon/event_cost.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

/// Shared by the coroutine that asks (and waits) and the queue of the Vm that answers.
struct Vm::SwitchRequest {
  enum class Wish : std::uint8_t { events_on, events_off, packs_on, packs_off, reconcile, refresh };

  SwitchRequest(boost::asio::any_io_executor executor, Wish its_wish)
      : wish(its_wish), finished(executor) {}

  Wish wish;
  std::vector<std::string> names;  // Patterns of events, or packs.
  Asker asker;
  LeaseLength length;
  SampleWish sample;
  SwitchReport report;
  bool done = false;
  bool abandoned = false;              // Nobody waits for it any more.
  boost::asio::steady_timer finished;  // Cancelled when done.
};

/// A wish to know what events cost. Shared like the other. The Vm takes it up a step at a time, so
/// that everything else goes on.
struct Vm::CostRequest {
  explicit CostRequest(boost::asio::any_io_executor executor) : finished(executor) {}

  std::vector<std::string> patterns;
  Asker asker;
  std::chrono::milliseconds sample{};  // How long a window lasts.
  CostReport report;
  bool done = false;
  boost::asio::steady_timer finished;  // Cancelled when done.

  /// At a moment.
  struct Totals {
    std::chrono::steady_clock::time_point time;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::uint64_t dropped = 0;
    std::optional<double> cpu_seconds;
  };
  bool begun = false;
  std::vector<trace::EventIndex> events;  // As in the report.
  std::size_t at = 0;                     // Which of them is being measured.
  bool switches = false;                  // It is ours to switch.
  std::vector<bool> order;                // Of its windows: on or off.
  std::vector<CostWindow> windows;
  bool in_window = false;  // The last of them lasts.
  Totals before;           // At its beginning.
  std::optional<LeaseId> lease;
  std::chrono::steady_clock::time_point next{};  // When there is something to do.
};

}  // namespace qemon::daemon
