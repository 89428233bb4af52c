// LttngHelper: the program qemon-lttng, through which qemond has a session of LTTng.
#pragma once

#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qemon::daemon {

/// LTTng's libraries wait for its daemons, which qemond must never do: so they are in a process of
/// their own. It ends by itself, and its session with it, when its standard input is closed, also
/// when we are killed. Owned by an LttngSource; one thread.
class LttngHelper {
 public:
  explicit LttngHelper(boost::asio::any_io_executor executor);
  /// Lets it end by itself, see end().
  ~LttngHelper();
  LttngHelper(const LttngHelper&) = delete;
  LttngHelper& operator=(const LttngHelper&) = delete;

  /// Starts it for a QEMU process and waits until it has a session and reads it.
  boost::asio::awaitable<Result<void>> start(std::string vm, pid_t qemu);
  /// Gives a command of its usage text, and waits until it is done.
  boost::asio::awaitable<Result<void>> ask(std::string command);
  /// Waits until it has removed its session and is gone.
  boost::asio::awaitable<void> end();

  /// Of the pipe with the records, which never blocks; -1 if there is none.
  [[nodiscard]] int records() const { return records_.get(); }
  /// Takes note of what it said unasked.
  void listen();
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// "EVENT ARGUMENT" of events whose records lack an argument.
  [[nodiscard]] const std::set<std::string>& incomplete() const { return incomplete_; }
  /// Buffers of records that were overwritten before they were read.
  [[nodiscard]] std::uint64_t overwritten() const { return overwritten_; }
  /// Why it ended by itself; empty if it did not.
  [[nodiscard]] const std::string& ended() const { return ended_; }

 private:
  [[nodiscard]] Result<void> spawn(const std::vector<std::string>& words);
  boost::asio::awaitable<Result<std::string>> next_answer(std::chrono::milliseconds patience);
  boost::asio::awaitable<bool> wait_for(
      std::shared_ptr<boost::asio::posix::stream_descriptor> readable,
      std::chrono::milliseconds patience);
  void take_line(std::string line);
  void give_up(const std::string& why);

  boost::asio::any_io_executor executor_;
  pid_t pid_ = -1;
  UniqueFd commands_;
  UniqueFd records_;
  // Shared with the handler of a deadline, which may outlive us.
  std::shared_ptr<boost::asio::posix::stream_descriptor> said_;
  std::string partial_;  // The first part of a line that it says.
  std::deque<std::string> answers_;
  std::set<std::string> incomplete_;
  std::uint64_t overwritten_ = 0;
  std::string ended_;
  bool was_ready_ = false;
  bool gave_up_ = false;
};

/// Where the program is that came with this one: "../lib/qemon/qemon-lttng" as seen from its
/// folder; empty if it is not there.
[[nodiscard]] std::string lttng_helper_program();

/// Has the sessions removed that helpers of a qemond left which were killed with it. Does not wait
/// for that.
void remove_left_lttng_sessions();

}  // namespace qemon::daemon
