#include "cli/control_client.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/unique_fd.hpp"
#include "tests/cli/fake_daemon.hpp"

namespace qemon::cli {
namespace {

using test::FakeDaemon;
using test::run_qemon;

UniqueFd bind_socket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return fd;
}

void expect_failure(const std::string& socket, const std::string& line) {
  const auto outcome = run_qemon({"status"}, socket);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, line + "\n");
}

TEST(ControlClient, SaysHowToStartADaemonThatDoesNotRun) {
  const test::TempDir dir;
  const std::string path = dir / "s";
  expect_failure(
      path,
      "qemon: cannot reach qemond at " + path +
          ": No such file or directory: start it with 'systemctl start qemond' or give --socket");

  { const UniqueFd stale = bind_socket(path); }

  expect_failure(
      path, "qemon: cannot reach qemond at " + path +
                ": Connection refused: start it with 'systemctl start qemond' or give --socket");
}

TEST(ControlClient, RefusesAPathThatIsNoSocketPath) {
  const std::string path(200, 'x');
  expect_failure(path, "qemon: cannot reach qemond at " + path +
                           ": the path of a socket has 1 to 107 bytes: give another --socket");
}

TEST(ControlClient, SaysWhatToDoWithoutPermission) {
  const test::TempDir dir;
  const std::string path = dir / "s";
  const UniqueFd listener = bind_socket(path);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  const uid_t before = ::geteuid();
  // Root may connect to everything, so it becomes "nobody" for a moment.
  if (before == 0 && ::seteuid(65534) != 0) GTEST_SKIP() << "cannot become another user";

  const auto outcome = run_qemon({"status"}, path);

  ASSERT_EQ(::seteuid(before), 0);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.err, "qemon: cannot reach qemond at " + path +
                             ": Permission denied: add yourself to group qemon or use sudo\n");
}

TEST(ControlClient, GivesUpOnADaemonThatDoesNotAnswer) {
  const test::TempDir dir;
  const std::string path = dir / "s";
  const UniqueFd listener = bind_socket(path);
  ASSERT_EQ(::listen(listener.get(), 1), 0);

  const auto answer = ControlClient(path, std::chrono::milliseconds(50)).get("/v1/status");

  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().detail,
            "no answer from qemond at " + path + " within 50 ms: look at 'journalctl -u qemond'");
}

TEST(ControlClient, ShowsTheDaemonsRefusal) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/status", 503, R"({"error":"qemond is stopping"})");

  expect_failure(daemon.path(), "qemon: qemond is stopping");
}

TEST(ControlClient, EscapesWhatTheDaemonSays) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/status", 500, "{\"error\":\"bad \\u001b[31mname\\nx\"}");

  expect_failure(daemon.path(), "qemon: bad \\x1b[31mname\\nx");
}

TEST(ControlClient, AddsTheCureToARefusalForLackOfPermission) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/status", 403, R"({"error":"you may not control VMs"})");
  expect_failure(daemon.path(),
                 "qemon: you may not control VMs: add yourself to group qemon or use sudo");

  daemon.answer("GET /v1/status", 403, R"({"error":"no: use sudo"})");
  expect_failure(daemon.path(), "qemon: no: use sudo");
}

TEST(ControlClient, ShowsTheStatusOfARefusalWithoutText) {
  FakeDaemon daemon;
  for (const char* const body : {"", "<html>", "[]", R"({"error":1})"}) {
    daemon.answer("GET /v1/status", 502, body);
    expect_failure(daemon.path(), "qemon: qemond refuses with HTTP status 502");
  }
}

TEST(ControlClient, RecognizesThatAnAnswerIsNotQemonds) {
  FakeDaemon daemon;
  const std::string line = "qemon: the answer from " + daemon.path() +
                           " is not qemond's: give its control socket with --socket";
  for (const char* const body : {"", "hello", "[]", "{\"a\":", "\xff"}) {
    daemon.answer("GET /v1/status", 200, body);
    expect_failure(daemon.path(), line);
  }
  daemon.answer_raw("{\"QMP\": {}}\r\n");
  expect_failure(daemon.path(), line);
}

TEST(ControlClient, NoticesAnAnswerThatBreaksOff) {
  const std::string whole = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{}";
  for (std::size_t length = 1; length <= whole.size(); ++length) {
    FakeDaemon daemon;
    daemon.answer_raw(whole.substr(0, length));
    expect_failure(daemon.path(),
                   "qemon: qemond at " + daemon.path() +
                       " ended the connection without an answer: look at 'journalctl -u qemond'");
  }
}

TEST(ControlClient, ReadsAnswersOfManyMegabytes) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/big", 200, "{\"x\":\"" + std::string(20'000'000, 'x') + "\"}");

  const auto answer = ControlClient(daemon.path()).get("/v1/big");

  ASSERT_TRUE(answer.has_value()) << answer.error().detail;
  EXPECT_EQ(answer->at("x").get<std::string>().size(), 20'000'000U);
}

}  // namespace
}  // namespace qemon::cli
