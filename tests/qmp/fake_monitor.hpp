// FakeMonitor: a scripted QMP server on a thread of its own, for tests of the client.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>

#include "base/unique_fd.hpp"

namespace qemon::qmp::test {

/// The server's end of the connection, as the script sees it. Every wait has a deadline. When the
/// client is gone, reading and writing throw PeerGone, which ends the script quietly.
class Peer {
 public:
  struct PeerGone {};

  explicit Peer(UniqueFd socket) : socket_(std::move(socket)) {}

  void write(std::string_view bytes);
  /// The next command, with a descriptor that came along in `descriptor`.
  nlohmann::json read();
  /// The bytes up to and with `last`, for a peer that is no QMP server.
  std::string read_until(char last);
  /// Whether no byte has come and none comes within `quiet`: for "no more than eight".
  bool nothing_to_read(std::chrono::milliseconds quiet);
  void hang_up() { socket_.reset(); }
  void wait_for_client_to_leave();
  /// The same, leaving unread what the client sends.
  void ignore_client_until_it_leaves();

  void greet();
  void answer_capabilities();
  void handshake() {
    greet();
    answer_capabilities();
  }
  void reply(const nlohmann::json& command, const nlohmann::json& value);
  void fail(const nlohmann::json& command, std::string_view error_class, std::string_view desc);

  UniqueFd descriptor;  ///< The last one received.

 private:
  bool fill(std::chrono::milliseconds deadline);

  UniqueFd socket_;
  std::string buffer_;
};

class FakeMonitor {
 public:
  /// Runs `script` on a thread. What it throws, except PeerGone, fails the test.
  explicit FakeMonitor(std::function<void(Peer&)> script);
  FakeMonitor(const FakeMonitor&) = delete;
  FakeMonitor& operator=(const FakeMonitor&) = delete;
  ~FakeMonitor() { join(); }

  /// The client's end; once.
  int release_client_end() { return client_.release(); }
  void join();

 private:
  UniqueFd client_;
  std::thread thread_;
};

/// Answers human-monitor-command by `lines`, and anything else by `commands`; unknown ones are
/// CommandNotFound.
struct Answers {
  std::function<nlohmann::json(const std::string& line)> human;
  std::function<nlohmann::json(const nlohmann::json& command)> command;
};

/// A script that answers until the client leaves. A null answer means CommandNotFound; {"error":
/// TEXT} means GenericError.
std::function<void(Peer&)> answering(Answers answers);

}  // namespace qemon::qmp::test
