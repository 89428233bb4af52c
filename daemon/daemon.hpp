// Daemon: puts the parts of qemond together and runs them until a signal ends it.
#pragma once

#include "base/result.hpp"
#include "daemon/config.hpp"

namespace qemon::daemon {

/// Runs until SIGTERM, SIGINT or SIGHUP's like ends it in an orderly way: every VM is then left as
/// found. An Error if it cannot begin: an address in use, a directory that cannot be made.
[[nodiscard]] Result<void> run_daemon(const Config& config);

}  // namespace qemon::daemon
