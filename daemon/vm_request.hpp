// Vm::SwitchRequest: a wish to switch events, on its way from the control socket to a VM's session.
#pragma once

#include "daemon/vm.hpp"

namespace qemon::daemon {

/// Shared by the coroutine that asks (and waits) and the queue of the Vm that answers.
struct Vm::SwitchRequest {
  SwitchRequest(boost::asio::any_io_executor executor, bool switch_on,
                std::vector<std::string> wanted, std::string who)
      : on(switch_on), patterns(std::move(wanted)), holder(std::move(who)), finished(executor) {}

  bool on;
  std::vector<std::string> patterns;
  std::string holder;
  std::vector<std::string> packs;  // Instead of patterns.
  SwitchReport report;
  bool done = false;
  boost::asio::steady_timer finished;  // Cancelled when done.
};

}  // namespace qemon::daemon
