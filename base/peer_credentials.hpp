// Who is at the other end of a Unix socket.
#pragma once

#include <sys/types.h>

#include <vector>

#include "base/result.hpp"

namespace qemon {

/// A process, as the kernel recorded it when it connected, or when it began to listen if it is we
/// who connected.
struct PeerCredentials {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;  ///< 0 if the process cannot be seen from this pid namespace.
  std::vector<gid_t>
      groups;  ///< Supplementary groups; empty where the kernel cannot tell (before Linux 4.13).
};

/// The credentials of the peer of a connected Unix socket.
[[nodiscard]] Result<PeerCredentials> read_peer_credentials(int socket);

}  // namespace qemon
