// HttpServerTest: an HttpServer on a thread of its own, that tells what it was asked.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "daemon/http_server.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::daemon {

/// Says what it was asked; some paths are answered in ways of their own.
inline boost::asio::awaitable<HttpResponse> echo(HttpRequest request) {
  if (request.path == "/throw") throw std::runtime_error("no such luck");
  if (request.path == "/slow") {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor,
                                    std::chrono::milliseconds(100));
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
  HttpResponse response;
  if (request.path == "/big") {
    response.body.assign(20'000'000, 'x');
  } else if (request.path == "/shared") {
    static const auto shared = std::make_shared<const std::string>(20'000'000, 'x');
    response.shared_body = shared;
  } else {
    response.body = request.method + " " + request.path;
    for (const auto& [key, value] : request.query) response.body += " " + key + "=" + value;
    if (request.peer && request.path == "/")
      response.body += " pid=" + std::to_string(request.peer->pid);
    if (!request.body.empty()) response.body += " body=" + request.body;
    response.body += "\n";
  }
  response.headers.emplace_back("Allow", "GET, HEAD");
  co_return response;
}

/// A server on its own thread.
class HttpServerTest : public testing::Test {
 protected:
  void start(HttpLimits limits = {}) {
    server_ = std::make_unique<HttpServer>(context_.get_executor(), limits);
    const Result<std::string> address = server_->listen_tcp("127.0.0.1:0", echo);
    ASSERT_TRUE(address.has_value()) << address.error().detail;
    tcp_ = *address;
    unix_ = dir_ / "control.sock";
    const Result<void> listening = server_->listen_unix(unix_, 0666, echo);
    ASSERT_TRUE(listening.has_value()) << listening.error().detail;
    thread_ = std::thread([this] { context_.run(); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    auto stopped = boost::asio::co_spawn(context_, server_->stop(), boost::asio::use_future);
    ASSERT_EQ(stopped.wait_for(test::default_deadline), std::future_status::ready);
    work_.reset();
    thread_.join();
    EXPECT_EQ(server_->connections(), 0U);
  }
  /// Asks the server's thread, which alone may look.
  template <typename Ask>
  auto ask(Ask question) {
    std::packaged_task<decltype(question(*server_))()> task([&] { return question(*server_); });
    auto answer = task.get_future();
    boost::asio::post(context_, [&] { task(); });
    return answer.get();
  }
  void TearDown() override { stop(); }

  test::TempDir dir_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
  std::string tcp_;
  std::string unix_;
};

}  // namespace qemon::daemon
