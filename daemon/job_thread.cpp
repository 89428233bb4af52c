#include "daemon/job_thread.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <system_error>
#include <utility>

namespace qemon::daemon {

namespace asio = boost::asio;

/// Shared by who waits and by the message that the job is done, whichever goes first.
struct JobThread::Waiting {
  explicit Waiting(const asio::any_io_executor& executor)
      : done(executor, asio::steady_timer::time_point::max()) {}

  asio::steady_timer done;
  std::optional<Result<void>> result;
};

JobThread::~JobThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

asio::awaitable<Result<void>> JobThread::run(Job job) {
  if (auto begun = begin(); !begun) co_return begun.error();
  const auto waiting = std::make_shared<Waiting>(executor_);
  {
    const std::lock_guard lock(mutex_);
    next_.push_back(told(waiting, std::move(job)));
  }
  changed_.notify_one();
  while (!waiting->result) co_await waiting->done.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return *waiting->result;
}

Result<void> JobThread::run_later(std::uint32_t key, std::function<void()> job) {
  if (auto begun = begin(); !begun) return begun.error();
  {
    const std::lock_guard lock(mutex_);
    later_.push_back({key, std::move(job)});
  }
  changed_.notify_one();
  return {};
}

asio::awaitable<void> JobThread::finish() {
  if (!thread_.joinable()) co_return;
  const auto waiting = std::make_shared<Waiting>(executor_);
  {
    const std::lock_guard lock(mutex_);
    later_.push_back({{}, told(waiting, [] { return Result<void>(); })});
  }
  changed_.notify_one();
  while (!waiting->result) co_await waiting->done.async_wait(asio::as_tuple(asio::use_awaitable));
}

/// The job, and then a message to who waits for it.
std::function<void()> JobThread::told(std::shared_ptr<Waiting> waiting, Job job) {
  return [this, waiting = std::move(waiting), job = std::move(job)] {
    auto result = job();
    const std::lock_guard lock(mutex_);
    // Nobody is left to be told, and perhaps no executor.
    if (ending_) return;
    asio::post(executor_, [waiting, result = std::move(result)] {
      waiting->result = result;
      waiting->done.cancel();
    });
  };
}

bool JobThread::take_back(std::uint32_t key) {
  const std::lock_guard lock(mutex_);
  return std::erase_if(later_, [key](const LaterJob& each) { return each.key == key; }) > 0;
}

std::size_t JobThread::pending() const {
  const std::lock_guard lock(mutex_);
  return later_.size() + in_hand_;
}

Result<void> JobThread::begin() {
  if (thread_.joinable()) return {};
  try {
    thread_ = std::thread([this] { work(); });
  } catch (const std::system_error& failure) {
    return Error{"no thread could be made: " + failure.code().message()};
  }
  return {};
}

void JobThread::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !next_.empty() || !later_.empty(); });
    std::function<void()> job;
    if (!next_.empty()) {
      job = std::move(next_.front());
      next_.pop_front();
    } else if (!later_.empty()) {
      job = std::move(later_.front().job);
      later_.pop_front();
      in_hand_ = 1;
    } else {
      return;
    }
    lock.unlock();
    job();
    job = nullptr;  // What it held is let go of before anybody is told that it is done.
    lock.lock();
    in_hand_ = 0;
  }
}

}  // namespace qemon::daemon
