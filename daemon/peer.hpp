// What the peer of the control socket may do: who controls VMs, and who reads.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/peer_credentials.hpp"

namespace qemon::daemon {

/// A group of this host, as it is called and as the kernel knows it.
struct NamedGroup {
  std::string name;
  gid_t gid = 0;
};

/// Who may do what over the control socket, besides root and the daemon's own user.
struct ControlPolicy {
  uid_t daemon_uid = 0;
  std::vector<NamedGroup> control;  ///< Their members may change something, and read.
  std::vector<NamedGroup> read;     ///< Their members may read; everybody may if there is none.
};

/// Groups that the host does not have are left out, since nobody can be in them.
[[nodiscard]] ControlPolicy make_control_policy(uid_t daemon_uid,
                                                const std::vector<std::string>& control_groups,
                                                const std::vector<std::string>& read_groups);

/// True for root, the daemon's own user and the members of the groups that may control.
[[nodiscard]] bool can_control(const PeerCredentials& peer, const ControlPolicy& policy);

[[nodiscard]] bool can_read(const PeerCredentials& peer, const ControlPolicy& policy);

/// For a refusal, for instance "only root, the user of qemond and members of the group qemon may
/// control VMs".
[[nodiscard]] std::string who_may_control(const ControlPolicy& policy);
[[nodiscard]] std::string who_may_read(const ControlPolicy& policy);

/// The name of a user of this host, else the number.
[[nodiscard]] std::string user_name(uid_t uid);

/// The number of a group of this host; nothing if there is no such group.
[[nodiscard]] std::optional<gid_t> find_group(const std::string& name);

}  // namespace qemon::daemon
