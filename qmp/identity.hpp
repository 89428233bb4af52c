// Identity: what a VM says about itself when asked.
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "qmp/client.hpp"
#include "qmp/types.hpp"

namespace qemon::qmp {

/// A field that this QEMU cannot tell is empty.
struct Identity {
  Version version;
  std::string package;      ///< The distribution's name for its build.
  std::string name;         ///< `-name`.
  std::string uuid;         ///< `-uuid`; a VM without one is not given a made-up one.
  std::string arch;         ///< Of the guest: "x86_64".
  std::string accelerator;  ///< "kvm", "tcg"; from QEMU 10.2 on whatever it says.
  std::string machine;      ///< "pc-i440fx-7.2".
  std::string run_state;    ///< "running", "paused", ...
  std::vector<pid_t>
      vcpu_threads;  ///< As QEMU sees them. Under TCG with -icount all vCPUs share one.
  std::vector<pid_t> iothreads;
};

/// Asks for everything above. A command that this QEMU does not have, or that fails, leaves its
/// field empty; a session that ends, or an answer that does not come, is an error.
boost::asio::awaitable<Result<Identity>> query_identity(
    Client& client, std::chrono::milliseconds deadline = default_deadline);

/// What the VM is doing now, as in Identity::run_state. Also the cheapest way to learn whether the
/// monitor still answers.
boost::asio::awaitable<Result<std::string>> query_run_state(
    Client& client, std::chrono::milliseconds deadline = default_deadline);

/// The names of the QMP commands that this QEMU has.
boost::asio::awaitable<Result<std::set<std::string>>> query_commands(
    Client& client, std::chrono::milliseconds deadline = default_deadline);

}  // namespace qemon::qmp
