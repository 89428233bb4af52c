// Which process of this host is the QEMU behind a monitor.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "daemon/process_info.hpp"
#include "qmp/client.hpp"

namespace qemon::daemon {

/// `threads`: of vCPUs and I/O threads, as the monitor tells them; may be empty. Absent if there is
/// none to be seen, as for a QEMU in another pid namespace.
[[nodiscard]] std::optional<ProcessInfo> find_qemu_process(const qmp::Client& client,
                                                           const std::vector<pid_t>& threads);

}  // namespace qemon::daemon
