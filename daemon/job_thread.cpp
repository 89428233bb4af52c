#include "daemon/job_thread.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace qemon::daemon {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

/// Shared by who waits and by the message that the job is done, whichever goes last.
struct JobThread::Waiting {
  explicit Waiting(const asio::any_io_executor& executor)
      : done(executor, Clock::time_point::max()) {}

  asio::steady_timer done;
  std::optional<Result<void>> result;
};

struct JobThread::State {
  struct LaterJob {
    std::optional<std::uint32_t> key;
    std::function<void()> job;
  };

  explicit State(asio::any_io_executor for_messages) : executor(std::move(for_messages)) {}

  void work();
  void finished(std::shared_ptr<Waiting> waiting, Result<void> result);

  const asio::any_io_executor executor;
  bool begun = false;  // Of the owner's thread.
  std::mutex mutex;    // Of what follows.
  std::condition_variable changed;
  std::deque<std::function<void()>> next;
  std::deque<LaterJob> later;
  std::size_t in_hand = 0;  // Of those from `later`.
  bool ending = false;
};

JobThread::JobThread(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}

JobThread::~JobThread() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->changed.notify_one();
}

asio::awaitable<Result<void>> JobThread::run(Job job) {
  if (auto begun = begin(); !begun) co_return begun.error();
  const auto waiting = std::make_shared<Waiting>(state_->executor);
  {
    const std::lock_guard lock(state_->mutex);
    // Not owned by the job, which may be dropped by its thread when the executor is gone.
    state_->next.emplace_back(
        [state = state_.get(), told = std::weak_ptr(waiting), job = std::move(job)] {
          auto result = job();
          if (auto still = told.lock()) state->finished(std::move(still), std::move(result));
        });
  }
  state_->changed.notify_one();
  while (!waiting->result) co_await waiting->done.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return *waiting->result;
}

Result<void> JobThread::run_later(std::uint32_t key, std::function<void()> job) {
  if (auto begun = begin(); !begun) return begun.error();
  {
    const std::lock_guard lock(state_->mutex);
    state_->later.push_back({key, std::move(job)});
  }
  state_->changed.notify_one();
  return {};
}

bool JobThread::take_back(std::uint32_t key) {
  const std::lock_guard lock(state_->mutex);
  const auto has_key = [key](const State::LaterJob& each) { return each.key == key; };
  return std::erase_if(state_->later, has_key) > 0;
}

std::size_t JobThread::pending() const {
  const std::lock_guard lock(state_->mutex);
  return state_->later.size() + state_->in_hand;
}

asio::awaitable<void> JobThread::finish(std::chrono::milliseconds deadline) {
  if (!state_->begun) co_return;
  const auto waiting = std::make_shared<Waiting>(state_->executor);
  waiting->done.expires_after(deadline);
  {
    const std::lock_guard lock(state_->mutex);
    auto* const state = state_.get();
    const std::weak_ptr<Waiting> told = waiting;
    state_->later.push_back({{}, [state, told] {
                               if (auto still = told.lock()) state->finished(std::move(still), {});
                             }});
  }
  state_->changed.notify_one();
  co_await waiting->done.async_wait(asio::as_tuple(asio::use_awaitable));
}

Result<void> JobThread::begin() {
  if (state_->begun) return {};
  try {
    std::thread([state = state_] { state->work(); }).detach();
  } catch (const std::system_error& failure) {
    return Error{"no thread could be made: " + failure.code().message()};
  }
  state_->begun = true;
  return {};
}

void JobThread::State::finished(std::shared_ptr<Waiting> waiting, Result<void> result) {
  const std::lock_guard lock(mutex);
  // Nobody is left to be told, and perhaps no executor.
  if (ending) return;
  asio::post(executor, [waiting = std::move(waiting), result = std::move(result)] {
    waiting->result = result;
    waiting->done.cancel();
  });
}

void JobThread::State::work() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [this] { return ending || !next.empty() || !later.empty(); });
    std::function<void()> job;
    if (!next.empty()) {
      job = std::move(next.front());
      next.pop_front();
    } else if (!later.empty()) {
      job = std::move(later.front().job);
      later.pop_front();
      in_hand = 1;
    } else {
      return;
    }
    lock.unlock();
    job();
    job = nullptr;  // What it owned goes with it, before the next one begins.
    lock.lock();
    in_hand = 0;
  }
}

}  // namespace qemon::daemon
