#include "daemon/listen_socket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(ListenSocket, GivesTheChosenPort) {
  const auto listener = open_tcp_listener("127.0.0.1:0");

  ASSERT_TRUE(listener.has_value()) << listener.error().detail;
  EXPECT_THAT(listener->address, StartsWith("127.0.0.1:"));
  EXPECT_NE(listener->address, "127.0.0.1:0");
}

TEST(ListenSocket, WritesIPv6InBrackets) {
  const auto listener = open_tcp_listener("[::1]:0");
  if (!listener) GTEST_SKIP() << listener.error().detail;

  EXPECT_THAT(listener->address, StartsWith("[::1]:"));
}

TEST(ListenSocket, UnderstandsLocalhostAndAllAddresses) {
  EXPECT_TRUE(open_tcp_listener("localhost:0").has_value());
  EXPECT_TRUE(open_tcp_listener(":0").has_value());
}

TEST(ListenSocket, SaysThatAnAddressIsInUse) {
  const auto first = open_tcp_listener("127.0.0.1:0");
  ASSERT_TRUE(first.has_value());

  const auto second = open_tcp_listener(first->address);

  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().detail, "listen on " + first->address +
                                       ": Address already in use: another program listens there: "
                                       "stop it, or give another --listen");
}

TEST(ListenSocket, RefusesWhatIsNoAddress) {
  for (const std::string address : {"", "9749", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
                                    "127.0.0.1:65536", "::1:9749", "[]:1", "a:-1"}) {
    const auto listener = open_tcp_listener(address);
    ASSERT_FALSE(listener.has_value()) << address;
    EXPECT_EQ(listener.error().detail, "'" + address +
                                           "' is not an address to listen on: give HOST:PORT, for "
                                           "instance 127.0.0.1:9749 or [::1]:9749");
  }
  const auto foreign = open_tcp_listener("192.0.2.1:0");
  ASSERT_FALSE(foreign.has_value());
  EXPECT_THAT(foreign.error().detail, HasSubstr("this host has no such address"));
}

TEST(ListenSocket, MakesASocketFileWithThePermissionsAskedForWhateverTheUmask) {
  const test::TempDir dir;
  const mode_t before = ::umask(0077);

  const auto listener = open_unix_listener(dir / "s", 0666);
  ::umask(before);

  ASSERT_TRUE(listener.has_value()) << listener.error().detail;
  struct stat status {};
  ASSERT_EQ(::lstat((dir / "s").c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 07777U, 0666U);
}

TEST(ListenSocket, ReplacesASocketFileThatNobodyAnswersOn) {
  const test::TempDir dir;
  { const auto stale = open_unix_listener(dir / "s", 0600); }
  ASSERT_EQ(::access((dir / "s").c_str(), F_OK), 0);

  const auto listener = open_unix_listener(dir / "s", 0600);

  EXPECT_TRUE(listener.has_value());
}

TEST(ListenSocket, LeavesASocketFileInUseAlone) {
  const test::TempDir dir;
  const auto first = open_unix_listener(dir / "s", 0600);
  ASSERT_TRUE(first.has_value());

  const auto second = open_unix_listener(dir / "s", 0600);

  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().detail, "another qemond is running on " + (dir / "s") +
                                       ": stop it, or give another --control-socket");
  EXPECT_EQ(::access((dir / "s").c_str(), F_OK), 0);
}

TEST(ListenSocket, LeavesAFileThatIsNoSocketAlone) {
  const test::TempDir dir;
  test::write_file(dir / "s", "precious");

  const auto listener = open_unix_listener(dir / "s", 0600);

  ASSERT_FALSE(listener.has_value());
  EXPECT_THAT(listener.error().detail, HasSubstr("there is a file that is not a socket"));
  EXPECT_EQ(test::read_file(dir / "s"), "precious");
}

TEST(ListenSocket, SaysWhatIsWrongWithAPath) {
  const test::TempDir dir;

  EXPECT_THAT(open_unix_listener(dir / "no/s", 0600).error().detail,
              HasSubstr("its directory must exist"));
  EXPECT_THAT(open_unix_listener(dir / std::string(200, 'x'), 0600).error().detail,
              HasSubstr("the path must have 1 to 107 bytes"));
  EXPECT_FALSE(open_unix_listener("", 0600).has_value());
}

TEST(ListenSocket, RemovesOnlyItsOwnSocketFile) {
  const test::TempDir dir;
  const auto mine = open_unix_listener(dir / "s", 0600);
  ASSERT_TRUE(mine.has_value());
  ASSERT_EQ(::rename((dir / "s").c_str(), (dir / "mine").c_str()), 0);
  const auto theirs = open_unix_listener(dir / "s", 0600);
  ASSERT_TRUE(theirs.has_value());

  remove_socket_file(*mine);
  EXPECT_EQ(::access((dir / "s").c_str(), F_OK), 0);

  remove_socket_file(*theirs);
  EXPECT_NE(::access((dir / "s").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace qemon::daemon
