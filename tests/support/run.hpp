// Runs a coroutine to its end on a test's io_context, with a deadline.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "tests/support/wait.hpp"

namespace qemon::test {

template <typename T>
struct RunState {
  bool done = false;
  std::exception_ptr failure;
  std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
};

/// Keeps the result itself, because co_spawn's own way asks for a T that can be made from nothing.
template <typename T>
boost::asio::awaitable<void> run_and_keep(boost::asio::awaitable<T> task,
                                          std::shared_ptr<RunState<T>> state) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
  } else {
    T value = co_await std::move(task);
    state->value.emplace(std::move(value));
  }
}

/// The coroutine's result; what it throws is thrown here. Throws std::runtime_error ("did not
/// finish") at the deadline, which fails the test. Other work on the context goes on meanwhile, and
/// stays pending afterwards.
template <typename T>
T run(boost::asio::io_context& context, boost::asio::awaitable<T> task,
      std::chrono::milliseconds deadline = default_deadline) {
  // Shared with the coroutine, which may still end later, on the same context, when the deadline
  // has passed.
  const auto state = std::make_shared<RunState<T>>();
  boost::asio::co_spawn(context, run_and_keep(std::move(task), state),
                        [state](std::exception_ptr failure) {
                          state->done = true;
                          state->failure = std::move(failure);
                        });

  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!state->done && std::chrono::steady_clock::now() < end) {
    if (context.stopped()) context.restart();
    context.run_one_until(end);
  }
  if (!state->done) throw std::runtime_error("the coroutine did not finish before its deadline");
  if (state->failure) std::rethrow_exception(state->failure);
  if constexpr (!std::is_void_v<T>) return std::move(*state->value);
}

}  // namespace qemon::test
