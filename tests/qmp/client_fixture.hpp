// ClientTest: an event loop, a fake monitor and a client on it.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "qmp/client.hpp"
#include "qmp/error.hpp"
#include "tests/qmp/fake_monitor.hpp"
#include "tests/support/run.hpp"

namespace qemon::qmp::test {

class ClientTest : public testing::Test {
 protected:
  using Json = nlohmann::json;

  void connect_to(std::function<void(Peer&)> script,
                  std::chrono::milliseconds handshake_deadline = qemon::test::default_deadline,
                  Protocol protocol = Protocol::qmp) {
    client.reset();
    monitor.emplace(std::move(script));
    Client::Socket socket(context, boost::asio::generic::stream_protocol(AF_UNIX, 0),
                          monitor->release_client_end());
    ClientOptions options;
    options.handshake_deadline = handshake_deadline;
    options.protocol = protocol;
    client = std::make_unique<Client>(std::move(socket), options);
  }

  Result<Greeting> handshake() { return qemon::test::run(context, client->handshake()); }

  void spawn_run() {
    boost::asio::co_spawn(context, client->run(), [this](std::exception_ptr failure, Error reason) {
      EXPECT_FALSE(failure);
      end_reason = std::move(reason);
    });
  }

  /// Shakes hands with `script` and starts the client.
  void start(std::function<void(Peer&)> script) {
    connect_to(std::move(script));
    const auto greeting = handshake();
    ASSERT_TRUE(greeting) << greeting.error().detail;
    spawn_run();
  }

  /// Turns the event loop until `condition` holds.
  bool run_until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + qemon::test::default_deadline;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      if (context.stopped()) context.restart();
      context.run_one_for(std::chrono::milliseconds(100));
    }
    return condition();
  }

  Result<Json> execute(std::string command, Json arguments = nullptr,
                       std::chrono::milliseconds deadline = qemon::test::default_deadline) {
    return qemon::test::run(context,
                            client->execute(std::move(command), std::move(arguments), deadline));
  }

  /// Starts a command; its result is added to `results` when it comes.
  void spawn_execute(std::string command, Json arguments = nullptr,
                     std::chrono::milliseconds deadline = qemon::test::default_deadline) {
    boost::asio::co_spawn(context,
                          client->execute(std::move(command), std::move(arguments), deadline),
                          [this](std::exception_ptr failure, Result<Json> result) {
                            EXPECT_FALSE(failure);
                            results.push_back(std::move(result));
                          });
  }

  // The client goes first, so that the monitor sees it leave; the context outlives both.
  boost::asio::io_context context{1};
  std::vector<Result<Json>> results;
  std::optional<Error> end_reason;
  std::optional<FakeMonitor> monitor;
  std::unique_ptr<Client> client;
};

}  // namespace qemon::qmp::test
