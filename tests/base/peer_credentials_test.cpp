#include "base/peer_credentials.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "base/unique_fd.hpp"

namespace qemon {
namespace {

TEST(PeerCredentials, OfASocketpairAreOurOwn) {
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

TEST(PeerCredentials, SomethingThatIsNoSocketHasNone) {
  EXPECT_FALSE(read_peer_credentials(-1).has_value());
}

}  // namespace
}  // namespace qemon
