// qemond on sockets that were made for it: systemd's own tool makes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "tests/support/daemon.hpp"
#include "tests/support/files.hpp"
#include "tests/support/http.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::test {
namespace {

using testing::HasSubstr;

class SocketActivation : public testing::Test {
 protected:
  void SetUp() override {
    if (!find_program("systemd-socket-activate"))
      GTEST_SKIP() << "systemd-socket-activate is not installed";
  }

  /// A qemond that is started when somebody connects to one of `sockets`, named `names`.
  [[nodiscard]] ProcessOptions activated(const std::vector<std::string>& sockets,
                                         const std::string& names) const {
    ProcessOptions options;
    options.command = {"systemd-socket-activate", "--fdname=" + names};
    for (const auto& socket : sockets) options.command.push_back("--listen=" + socket);
    for (const std::string word :
         {QEMON_TEST_BIN_DIR "/qemond", "--runtime-dir", "", "--listen", "127.0.0.1:0"})
      options.command.push_back(word.empty() ? directory / "run" : word);
    options.command.insert(options.command.end(), {"--vm", "vm=unix:" + (directory / "no.qmp")});
    options.err = directory / "err";
    return options;
  }

  [[nodiscard]] std::string said() const { return read_file(directory / "err"); }
  [[nodiscard]] bool says(const std::string& text) const {
    return wait_until([&] { return said().find(text) != std::string::npos; });
  }

  /// What `qemon` says through the passed control socket. It is what starts qemond.
  [[nodiscard]] Finished ask() const {
    return run_qemon(directory.path().string(), directory / "control", {"status"});
  }

  TempDir directory;
};

TEST_F(SocketActivation, ServesOnBothSockets) {
  const auto address = "127.0.0.1:" + std::to_string(free_port());
  Process daemon(activated({directory / "control", address}, "control:http"));
  ASSERT_TRUE(says("Listening on " + address)) << said();

  const auto done = ask();

  EXPECT_EQ(done.status, ExitStatus{}) << done.err << said();
  EXPECT_THAT(done.out, HasSubstr("control   " + (directory / "control") + "\n"));
  EXPECT_THAT(done.out, HasSubstr("metrics   http://" + address + "/metrics\n"));
  EXPECT_THAT(http_get(address, "/metrics").body, HasSubstr("qemu_up"));
  // Its own are not opened beside them.
  EXPECT_FALSE(std::filesystem::exists(directory / "run/control.sock"));
}

TEST_F(SocketActivation, OpensWhatWasNotPassed) {
  Process daemon(activated({directory / "control"}, "control"));
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(directory / "control"); })) << said();

  const auto done = ask();

  EXPECT_EQ(done.status, ExitStatus{}) << done.err << said();
  EXPECT_THAT(done.out, HasSubstr("metrics   http://127.0.0.1:"));
}

TEST_F(SocketActivation, LeavesTheSocketToWhoMadeIt) {
  Process daemon(activated({directory / "control"}, "control"));
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(directory / "control"); })) << said();
  ASSERT_EQ(ask().status, ExitStatus{}) << said();

  daemon.signal(SIGTERM);

  ASSERT_EQ(daemon.wait(), ExitStatus{}) << said();
  EXPECT_TRUE(std::filesystem::exists(directory / "control"));
}

TEST_F(SocketActivation, RefusesAUnixSocketForHttp) {
  Process daemon(activated({directory / "control"}, "http"));
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(directory / "control"); })) << said();

  EXPECT_NE(ask().status, ExitStatus{});

  EXPECT_TRUE(
      says("the socket 'http' from systemd is not a TCP socket that listens: its unit needs "
           "ListenStream=HOST:PORT and Accept=no"))
      << said();
}

TEST_F(SocketActivation, RefusesATcpSocketForControl) {
  const auto address = "127.0.0.1:" + std::to_string(free_port());
  Process daemon(activated({address}, "control"));
  ASSERT_TRUE(says("Listening on " + address)) << said();

  EXPECT_ANY_THROW(http_get(address, "/metrics"));

  EXPECT_TRUE(
      says("the socket 'control' from systemd is not a Unix stream socket that listens: its "
           "unit needs ListenStream=/PATH and Accept=no"))
      << said();
}

TEST_F(SocketActivation, RefusesANameThatItDoesNotKnow) {
  Process daemon(activated({directory / "control"}, "metrics"));
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(directory / "control"); })) << said();

  EXPECT_NE(ask().status, ExitStatus{});

  EXPECT_TRUE(
      says("the socket 'metrics' from systemd is unknown: its unit needs "
           "FileDescriptorName=http or FileDescriptorName=control"))
      << said();
}

TEST_F(SocketActivation, RefusesTwoOfAKind) {
  Process daemon(activated({directory / "control", directory / "other"}, "control:control"));
  ASSERT_TRUE(wait_until([&] { return std::filesystem::exists(directory / "other"); })) << said();

  EXPECT_NE(ask().status, ExitStatus{});

  EXPECT_TRUE(
      says("systemd passed more than one socket 'control': its unit needs one ListenStream "
           "only"))
      << said();
}

}  // namespace
}  // namespace qemon::test
