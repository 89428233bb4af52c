#include "base/peer_credentials.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace qemon {
namespace {

std::vector<gid_t> read_peer_groups(int socket) {
  // The kernel says how much room it wants; 65536 groups is its own limit (NGROUPS_MAX).
  std::vector<gid_t> groups(64);
  for (;;) {
    auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) == 0) {
      groups.resize(bytes / sizeof(gid_t));
      return groups;
    }
    const std::size_t wanted = bytes / sizeof(gid_t);
    if (errno != ERANGE || wanted <= groups.size()) return {};
    groups.resize(wanted);
  }
}

}  // namespace

Result<PeerCredentials> read_peer_credentials(int socket) {
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0)
    return system_error(errno, "credentials of the peer");
  PeerCredentials peer;
  peer.uid = credentials.uid;
  peer.gid = credentials.gid;
  peer.pid = credentials.pid;
  peer.groups = read_peer_groups(socket);
  return peer;
}

}  // namespace qemon
