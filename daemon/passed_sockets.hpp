// Sockets that listen already when qemond starts: systemd made them (socket activation).
#pragma once

#include <optional>

#include "base/result.hpp"
#include "daemon/listen_socket.hpp"

namespace qemon::daemon {

/// Each is missing if it was not passed. The control socket's file is not ours to remove, so its
/// device and inode are 0.
struct PassedSockets {
  std::optional<TcpListenSocket> http;
  std::optional<UnixListenSocket> control;
};

/// By sd_listen_fds_with_names(3). A second call finds nothing. An Error for a socket whose name is
/// unknown or given twice, or that is of another kind than its name says.
[[nodiscard]] Result<PassedSockets> take_passed_sockets();

}  // namespace qemon::daemon
