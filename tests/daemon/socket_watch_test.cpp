#include "daemon/socket_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

class SocketWatchTest : public testing::Test {
 protected:
  void make_socket(const std::string& name) {
    acceptors.emplace_back(context,
                           boost::asio::local::stream_protocol::endpoint(directory / name));
  }
  /// Waits for a change of what `pattern` could match, at most a minute, and says so in `told`.
  void spawn_wait(const std::string& pattern, std::chrono::milliseconds longest = 1min) {
    watch.watch({pattern});
    boost::asio::co_spawn(context, watch.wait(longest), [this](std::exception_ptr failure) {
      EXPECT_FALSE(failure);
      told = true;
    });
    context.poll();
  }
  bool is_told() {
    return test::wait_until([&] {
      context.restart();
      context.run_for(1ms);
      return told;
    });
  }

  test::TempDir directory;
  boost::asio::io_context context;
  std::vector<boost::asio::local::stream_protocol::acceptor> acceptors;
  SocketWatch watch{context.get_executor()};
  bool told = false;
};

TEST_F(SocketWatchTest, FindsSocketsOnly) {
  make_socket("b.qmp");
  make_socket("a.qmp");
  make_socket("a.other");
  test::write_file(directory / "file.qmp", "");

  EXPECT_THAT(find_sockets(directory / "*.qmp"),
              ElementsAre(directory / "a.qmp", directory / "b.qmp"));
}

TEST_F(SocketWatchTest, KnowsTheFoldersInWhichMatchesCanAppear) {
  std::filesystem::create_directories(directory / "vms/one/run");
  std::filesystem::create_directories(directory / "vms/two/run");
  const auto root = directory / "vms/";

  EXPECT_THAT(folders_of_pattern(root + "*.qmp"), ElementsAre(root));
  EXPECT_THAT(folders_of_pattern(root + "o*/run/*.qmp"), ElementsAre(root, root + "one/run/"));
  EXPECT_THAT(folders_of_pattern(directory / "none/*.qmp"), IsEmpty());
}

TEST_F(SocketWatchTest, TellsWhenASocketAppears) {
  spawn_wait(directory / "*.qmp");
  EXPECT_FALSE(told);

  make_socket("a.qmp");

  EXPECT_TRUE(is_told());
}

TEST_F(SocketWatchTest, TellsWhenASocketGoes) {
  make_socket("a.qmp");
  spawn_wait(directory / "*.qmp");

  std::filesystem::remove(directory / "a.qmp");

  EXPECT_TRUE(is_told());
}

TEST_F(SocketWatchTest, TellsWhenAFolderAppearsThatMatchesAPart) {
  spawn_wait(directory / "*/qmp");

  std::filesystem::create_directory(directory / "web1");

  EXPECT_TRUE(is_told());
}

TEST_F(SocketWatchTest, WaitsNoLongerThanAsked) {
  spawn_wait(directory / "*.qmp", 1ms);

  EXPECT_TRUE(is_told());
}

TEST_F(SocketWatchTest, EndsItsWaitWhenClosed) {
  spawn_wait(directory / "*.qmp");

  watch.close();

  EXPECT_TRUE(is_told());
}

}  // namespace
}  // namespace qemon::daemon
