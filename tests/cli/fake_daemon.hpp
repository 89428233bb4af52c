// FakeDaemon: a control socket with prepared answers; and qemon run against it.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/temp_dir.hpp"

namespace qemon::test {

/// Serves one connection after the other on a thread of its own.
class FakeDaemon {
 public:
  FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;
  ~FakeDaemon();

  /// The answer to requests like "GET /v1/status"; anything else gets a 404.
  void answer(const std::string& request, unsigned status, const std::string& body);
  /// Every connection gets these bytes as soon as it has sent something, and is then closed.
  void answer_raw(const std::string& bytes);
  /// What was asked: "GET /v1/status", "POST /v1/events {...}".
  [[nodiscard]] std::vector<std::string> requests() const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  void serve(int listener);
  void serve_one(int connection);

  TempDir dir_;
  std::string path_;
  mutable std::mutex mutex_;
  std::map<std::string, std::pair<unsigned, std::string>> answers_;
  std::string raw_;
  std::vector<std::string> requests_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

struct Outcome {
  int status = -1;
  std::string out;
  std::string err;
};

/// Runs qemon with these arguments, and with --socket in front if a path is given.
[[nodiscard]] Outcome run_qemon(std::vector<std::string> arguments, const std::string& socket = "");

/// Expects all of what a run came to.
void expect(const Outcome& outcome, int status, const std::string& out, const std::string& err);

}  // namespace qemon::test
