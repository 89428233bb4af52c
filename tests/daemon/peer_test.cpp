#include "daemon/peer.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace qemon::daemon {
namespace {

PeerCredentials peer_of(uid_t uid, gid_t gid, std::vector<gid_t> groups = {}) {
  PeerCredentials peer;
  peer.uid = uid;
  peer.gid = gid;
  peer.groups = std::move(groups);
  return peer;
}

const ControlPolicy policy{.daemon_uid = 900, .control = {{"qemon", 77}, {"ops", 78}}, .read = {}};
const ControlPolicy for_readers{
    .daemon_uid = 900, .control = {{"qemon", 77}}, .read = {{"watch", 80}}};

TEST(Peer, RootAndTheDaemonsOwnUserMayControl) {
  EXPECT_TRUE(can_control(peer_of(0, 0), policy));
  EXPECT_TRUE(can_control(peer_of(900, 900), policy));
}

TEST(Peer, MembersOfTheGroupMayControl) {
  EXPECT_TRUE(can_control(peer_of(1000, 77), policy));
  EXPECT_TRUE(can_control(peer_of(1000, 1000, {4, 77}), policy));
}

TEST(Peer, MembersOfOtherGroupsThatAreNamedMayControl) {
  EXPECT_TRUE(can_control(peer_of(1000, 1000, {4, 78}), policy));
}

TEST(Peer, EverybodyMayReadWhenNoGroupIsNamed) {
  EXPECT_TRUE(can_read(peer_of(1000, 1000), policy));
}

TEST(Peer, OnlyThoseOfTheNamedGroupsMayReadAndThoseWhoMayControl) {
  EXPECT_TRUE(can_read(peer_of(0, 0), for_readers));
  EXPECT_TRUE(can_read(peer_of(900, 900), for_readers));
  EXPECT_TRUE(can_read(peer_of(1000, 1000, {80}), for_readers));
  EXPECT_TRUE(can_read(peer_of(1000, 77), for_readers));
  EXPECT_FALSE(can_read(peer_of(1000, 1000, {81}), for_readers));
}

TEST(Peer, ReadersMayNotControl) {
  EXPECT_FALSE(can_control(peer_of(1000, 80), for_readers));
}

TEST(Peer, GroupsThatTheHostDoesNotHaveOpenNothing) {
  const auto made =
      make_control_policy(900, {"root", "no-such-group-here"}, {"no-such-group-here"});

  ASSERT_EQ(made.control.size(), 1U);
  EXPECT_EQ(made.control.front().name, "root");
  EXPECT_FALSE(can_read(peer_of(1000, 1000), made));
}

TEST(Peer, ARefusalNamesWhoMay) {
  EXPECT_EQ(who_may_control(for_readers),
            "only root, the user of qemond and members of the group qemon may control VMs");
  EXPECT_EQ(who_may_control(policy),
            "only root, the user of qemond and members of the groups qemon, ops may control VMs");
  EXPECT_EQ(who_may_read(for_readers),
            "only root, the user of qemond and members of the groups qemon, watch may read");
  EXPECT_EQ(who_may_control(ControlPolicy{}), "only root and the user of qemond may control VMs");
}

TEST(Peer, OthersMayNotControl) {
  EXPECT_FALSE(can_control(peer_of(1000, 1000), policy));
  EXPECT_FALSE(can_control(peer_of(1000, 1000, {4, 900}), policy));
}

TEST(Peer, WithoutTheGroupOnlyRootAndTheDaemonsUserMayControl) {
  const ControlPolicy without{.daemon_uid = 900, .control = {}, .read = {}};

  EXPECT_TRUE(can_control(peer_of(0, 0), without));
  EXPECT_TRUE(can_control(peer_of(900, 1), without));
  EXPECT_FALSE(can_control(peer_of(1000, 0, {0}), without));
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
