#include "daemon/peer.hpp"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>

namespace qemon::daemon {

namespace {

/// No process is ever in it: it is what setgid() refuses.
constexpr auto no_group = static_cast<gid_t>(-1);

std::vector<NamedGroup> groups_of_host(const std::vector<std::string>& names) {
  std::vector<NamedGroup> groups;
  for (const auto& name : names)
    if (const auto gid = find_group(name)) groups.push_back({name, *gid});
  return groups;
}

bool is_in_any(const PeerCredentials& peer, const std::vector<NamedGroup>& groups) {
  return std::ranges::any_of(groups, [&](const NamedGroup& group) {
    return peer.gid == group.gid || std::ranges::find(peer.groups, group.gid) != peer.groups.end();
  });
}

std::string only_members_of(const std::vector<NamedGroup>& groups) {
  if (groups.empty()) return "only root and the user of qemond";
  std::string names;
  for (const auto& group : groups) names += (names.empty() ? "" : ", ") + group.name;
  return std::string("only root, the user of qemond and members of the ") +
         (groups.size() == 1 ? "group " : "groups ") + names;
}

}  // namespace

ControlPolicy make_control_policy(uid_t daemon_uid, const std::vector<std::string>& control_groups,
                                  const std::vector<std::string>& read_groups) {
  ControlPolicy policy;
  policy.daemon_uid = daemon_uid;
  policy.control = groups_of_host(control_groups);
  policy.read = groups_of_host(read_groups);
  // A group that has vanished since it was checked must not open to all what was meant for few.
  if (policy.read.empty() && !read_groups.empty()) policy.read = {{read_groups.front(), no_group}};
  return policy;
}

bool can_control(const PeerCredentials& peer, const ControlPolicy& policy) {
  return peer.uid == 0 || peer.uid == policy.daemon_uid || is_in_any(peer, policy.control);
}

bool can_read(const PeerCredentials& peer, const ControlPolicy& policy) {
  return policy.read.empty() || can_control(peer, policy) || is_in_any(peer, policy.read);
}

std::string who_may_control(const ControlPolicy& policy) {
  return only_members_of(policy.control) + " may control VMs";
}

std::string who_may_read(const ControlPolicy& policy) {
  auto groups = policy.control;
  for (const auto& group : policy.read) {
    const bool told = std::ranges::any_of(
        policy.control, [&](const NamedGroup& other) { return other.gid == group.gid; });
    if (!told) groups.push_back(group);
  }
  return only_members_of(groups) + " may read";
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
