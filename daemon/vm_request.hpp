// Vm::SwitchRequest: a wish to switch events, on its way from the control socket to a VM's session.
#pragma once

#include "daemon/vm.hpp"

namespace qemon::daemon {

/// Shared by the coroutine that asks (and waits) and the queue of the Vm that answers.
struct Vm::SwitchRequest {
  enum class Wish : std::uint8_t { events_on, events_off, packs_on, packs_off, reconcile };

  SwitchRequest(boost::asio::any_io_executor executor, Wish its_wish)
      : wish(its_wish), finished(executor) {}

  Wish wish;
  std::vector<std::string> names;  // Patterns of events, or packs.
  Asker asker;
  LeaseLength length;
  SwitchReport report;
  bool done = false;
  boost::asio::steady_timer finished;  // Cancelled when done.
};

}  // namespace qemon::daemon
