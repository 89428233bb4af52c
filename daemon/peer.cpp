#include "daemon/peer.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace qemon::daemon {

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

bool can_control(const PeerCredentials& peer, const ControlPolicy& policy) {
  if (peer.uid == 0 || peer.uid == policy.daemon_uid) return true;
  if (!policy.group) return false;
  return peer.gid == *policy.group ||
         std::ranges::find(peer.groups, *policy.group) != peer.groups.end();
}

std::string user_name(uid_t uid) {
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  // Names that need more room are nobody's.
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return std::to_string(uid);
  return entry.pw_name;
}

std::optional<gid_t> find_group(const std::string& name) {
  std::vector<char> buffer(1024);
  for (;;) {
    group entry{};
    group* found = nullptr;
    const int error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    // A group's entry lists its members, so it can be long; a megabyte is more than any real one.
    if (error == ERANGE && buffer.size() < 1024 * 1024) {
      buffer.resize(buffer.size() * 4);
      continue;
    }
    if (error != 0 || found == nullptr) return std::nullopt;
    return entry.gr_gid;
  }
}

}  // namespace qemon::daemon
