// JobThread: does what may keep waiting for the kernel, so that nobody else waits.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/result.hpp"

namespace qemon::daemon {

/// One thread, which does one job after another; it is made for the first one, and ends with its
/// owner, who waits for it. run() and finish() are called one at a time.
class JobThread {
 public:
  using Job = std::function<Result<void>()>;

  explicit JobThread(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  /// What was to be done later is done first.
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
  /// Returns when all that was to be done later is done.
  boost::asio::awaitable<void> finish();

 private:
  struct Waiting;
  struct LaterJob {
    std::optional<std::uint32_t> key;
    std::function<void()> job;
  };

  Result<void> begin();
  [[nodiscard]] std::function<void()> told(std::shared_ptr<Waiting> waiting, Job job);
  void work();

  boost::asio::any_io_executor executor_;
  mutable std::mutex mutex_;  // Of all that follows but the thread.
  std::condition_variable changed_;
  std::deque<std::function<void()>> next_;
  std::deque<LaterJob> later_;
  std::size_t in_hand_ = 0;  // Of those from later_.
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace qemon::daemon
