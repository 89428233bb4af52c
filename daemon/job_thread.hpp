// JobThread: does what may keep waiting for the kernel, so that nobody else waits.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.hpp"

namespace qemon::daemon {

/// One thread, which does one job after another; it is made for the first one. When its owner goes,
/// it does what is left to do and ends by itself, so a job must share nothing with others but what
/// it owns too. run() and finish() are called one at a time.
class JobThread {
 public:
  using Job = std::function<Result<void>()>;

  explicit JobThread(boost::asio::any_io_executor executor);
  ~JobThread();
  JobThread(const JobThread&) = delete;
  JobThread& operator=(const JobThread&) = delete;

  /// Done next, before everything that may be done later.
  boost::asio::awaitable<Result<void>> run(Job job);
  /// Done when there is nothing else to do. `key` is for taking it back.
  [[nodiscard]] Result<void> run_later(std::uint32_t key, std::function<void()> job);
  /// True if it had not begun; it will not be done then.
  bool take_back(std::uint32_t key);
  /// How many of those wait or are being done.
  [[nodiscard]] std::size_t pending() const;
  /// Returns when all that was to be done later is done, or after the deadline.
  boost::asio::awaitable<void> finish(std::chrono::milliseconds deadline);

 private:
  struct Waiting;
  struct State;

  Result<void> begin();

  std::shared_ptr<State> state_;  // Shared with the thread.
};

}  // namespace qemon::daemon
