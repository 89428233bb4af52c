// Process: a program that a test starts, with its output in files, and that never outlives the
// test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "tests/support/wait.hpp"

namespace qemon::test {

/// How a program ended: `signal` is 0 unless a signal ended it.
struct ExitStatus {
  int code = 0;
  int signal = 0;
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

struct User {
  uid_t uid;
  gid_t gid;
};

/// The account that owns nothing, if the machine has it.
std::optional<User> nobody();

struct ProcessOptions {
  std::vector<std::string>
      command;               ///< The program, found by PATH if it has no slash, and its arguments.
  int conversation = -1;     ///< A descriptor to be its standard input and output, see below.
  std::string out;           ///< File for its standard output; empty: /dev/null.
  std::string err;           ///< File for its standard error; empty: /dev/null.
  bool err_pipe = false;     ///< Standard error is a pipe instead, see errors_from_pipe().
  std::optional<User> user;  ///< Run as this user, which only root can ask for.
  std::vector<std::string> environment;  ///< NAME=VALUE, in addition to the test's own.
};

/// One end of a socket pair as `conversation` lets the test tell the program something and hear its
/// answers; it stays the caller's to close.
///
/// Started by the constructor, killed by the destructor; killed by the kernel when the test itself
/// is killed (except after the program has changed its own user, which takes that tie away).
class Process {
 public:
  /// Throws std::system_error when the program cannot be started.
  explicit Process(ProcessOptions options);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running();
  void signal(int number) const;

  /// How it ended, or nothing if it still runs at the deadline.
  std::optional<ExitStatus> wait(std::chrono::milliseconds deadline = default_deadline);

  /// Kills it and waits for its end.
  void kill();

  /// Everything that has come through the pipe of standard error so far.
  const std::string& errors_from_pipe();

 private:
  pid_t pid_ = -1;
  std::optional<ExitStatus> status_;
  UniqueFd error_pipe_;
  std::string errors_;
};

struct Finished {
  ExitStatus status;
  std::string out;
  std::string err;
};

/// The output of a program that must have done what it was asked to; otherwise throws with what it
/// said.
std::string done(const Finished& finished);

/// Runs a program to its end, with its output in files of `directory`; throws when it has not ended
/// at the deadline.
Finished run_program(const std::vector<std::string>& command, const std::string& directory,
                     std::chrono::milliseconds deadline = default_deadline);

/// The program's path by PATH, or nothing.
std::optional<std::string> find_program(const std::string& name);

}  // namespace qemon::test
