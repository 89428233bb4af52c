// Who is at the other end of a Unix socket, and whether they may control VMs.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace qemon::daemon {

/// A process that connected, as the kernel recorded it at the moment of connecting.
struct PeerCredentials {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::vector<gid_t>
      groups;  ///< Supplementary groups; empty where the kernel cannot tell (before Linux 4.13).
};

/// The credentials of the peer of a connected Unix socket.
[[nodiscard]] Result<PeerCredentials> read_peer_credentials(int socket);

/// Who may change something. Everybody who can connect may read.
struct ControlPolicy {
  uid_t daemon_uid = 0;
  std::optional<gid_t>
      group;  ///< The group whose members may control; none if the host has no such group.
};

/// True for root, the daemon's own user and the members of the group.
[[nodiscard]] bool can_control(const PeerCredentials& peer, const ControlPolicy& policy);

/// The name of a user of this host, else the number.
[[nodiscard]] std::string user_name(uid_t uid);

/// The number of a group of this host; nothing if there is no such group.
[[nodiscard]] std::optional<gid_t> find_group(const std::string& name);

}  // namespace qemon::daemon
