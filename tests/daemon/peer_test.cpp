#include "daemon/peer.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "base/unique_fd.hpp"

namespace qemon::daemon {
namespace {

PeerCredentials peer_of(uid_t uid, gid_t gid, std::vector<gid_t> groups = {}) {
  PeerCredentials peer;
  peer.uid = uid;
  peer.gid = gid;
  peer.groups = std::move(groups);
  return peer;
}

constexpr ControlPolicy policy{.daemon_uid = 900, .group = 77};

TEST(Peer, RootAndTheDaemonsOwnUserMayControl) {
  EXPECT_TRUE(can_control(peer_of(0, 0), policy));
  EXPECT_TRUE(can_control(peer_of(900, 900), policy));
}

TEST(Peer, MembersOfTheGroupMayControl) {
  EXPECT_TRUE(can_control(peer_of(1000, 77), policy));
  EXPECT_TRUE(can_control(peer_of(1000, 1000, {4, 77}), policy));
}

TEST(Peer, OthersMayNotControl) {
  EXPECT_FALSE(can_control(peer_of(1000, 1000), policy));
  EXPECT_FALSE(can_control(peer_of(1000, 1000, {4, 900}), policy));
}

TEST(Peer, WithoutTheGroupOnlyRootAndTheDaemonsUserMayControl) {
  const ControlPolicy without{.daemon_uid = 900, .group = std::nullopt};

  EXPECT_TRUE(can_control(peer_of(0, 0), without));
  EXPECT_TRUE(can_control(peer_of(900, 1), without));
  EXPECT_FALSE(can_control(peer_of(1000, 0, {0}), without));
}

TEST(Peer, CredentialsOfASocketpairAreOurOwn) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const UniqueFd one(ends[0]);
  const UniqueFd other(ends[1]);
  std::vector<gid_t> own_groups(static_cast<std::size_t>(::getgroups(0, nullptr)));
  ASSERT_GE(::getgroups(static_cast<int>(own_groups.size()), own_groups.data()), 0);

  const Result<PeerCredentials> peer = read_peer_credentials(one.get());

  ASSERT_TRUE(peer.has_value()) << peer.error().detail;
  EXPECT_EQ(peer->uid, ::geteuid());
  EXPECT_EQ(peer->gid, ::getegid());
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->groups, own_groups);
}

TEST(Peer, SomethingThatIsNoSocketHasNoCredentials) {
  EXPECT_FALSE(read_peer_credentials(-1).has_value());
}

TEST(Peer, NamesUsersAndThoseWithoutANameByNumber) {
  EXPECT_EQ(user_name(0), "root");
  EXPECT_EQ(user_name(3123456789U), "3123456789");
}

TEST(Peer, FindsGroupsByName) {
  EXPECT_EQ(find_group("root"), gid_t{0});
  EXPECT_FALSE(find_group("no-such-group-here").has_value());
}

}  // namespace
}  // namespace qemon::daemon
