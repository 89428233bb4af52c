// ChildOutput: a program that runs beside us and whose output is read as it comes.
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qemon::daemon {

/// Owned by whoever reads it. Nothing here waits, but for a destructor without stop() before it,
/// which waits an instant for the program to be gone.
class ChildOutput {
 public:
  ChildOutput() = default;
  /// Runs words[0], found by PATH, with the other words as its arguments.
  [[nodiscard]] static Result<ChildOutput> start(const std::vector<std::string>& words);
  ChildOutput(ChildOutput&& other) noexcept;
  ChildOutput& operator=(ChildOutput&& other) noexcept;
  ChildOutput(const ChildOutput&) = delete;
  ChildOutput& operator=(const ChildOutput&) = delete;
  ~ChildOutput();

  struct Read {
    std::size_t size = 0;
    bool ended = false;  ///< It closed its output, and no more will come.
  };
  /// Reads what there is of its output.
  [[nodiscard]] Read read(std::span<char> into);
  /// Bytes that it has written and that were not read.
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] bool is_running() const { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// The last line that it wrote as an error; empty if there was none.
  [[nodiscard]] std::string last_error();

  /// Ends it and waits until it is gone, or for some seconds.
  boost::asio::awaitable<void> stop();

 private:
  void kill() const;
  /// True if it is gone.
  bool reap();

  pid_t pid_ = -1;
  UniqueFd output_, errors_;
  std::string error_text_;
};

}  // namespace qemon::daemon
