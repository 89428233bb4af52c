// Monitor: the QMP monitor of one VM that there is not, answering from a recording or failing as
// told.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/fake_qemu/failure.hpp"
#include "tests/fake_qemu/recording.hpp"

namespace qemon::fake {

/// Serves one client at a time, and answers one command before it reads the next, so that a client
/// that does not read makes it wait and not grow. Owned by its own `run` and by the control;
/// one thread.
class Monitor {
 public:
  /// Listens at DIRECTORY/NAME.qmp. The name appears when it does, so that who looks for sockets
  /// never meets one without a listener. Throws boost::system::system_error.
  Monitor(const boost::asio::any_io_executor& executor, const Recording& recording,
          const std::string& directory, std::string name);
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// Until `stop`.
  boost::asio::awaitable<void> run();
  /// Removes the socket and closes the connection.
  void stop();

  /// From now on; in a session that has begun, with the next command that it names.
  void fail(Failure failure);
  /// A monitor that was silent answers what it was asked; one that had spoilt its stream closes it.
  void heal();

  /// What was received, in the order of its first coming: an array of objects with `command`,
  /// `count`, `first`, `last` and `longest_gap`, in seconds of the monotonic clock.
  [[nodiscard]] nlohmann::json counts() const;
  void reset_counts();

 private:
  using Clock = std::chrono::steady_clock;
  struct Count {
    std::string command;
    std::uint64_t count = 0;
    unsigned in_session = 0;
    Clock::time_point first;
    Clock::time_point last;
    Clock::duration longest_gap{0};
  };
  struct Request {
    std::string command;
    nlohmann::json arguments;
    std::string id;  ///< As JSON.
  };
  enum class Next : std::uint8_t { go_on, hang_up };

  boost::asio::awaitable<void> serve();
  boost::asio::awaitable<bool> greet();
  boost::asio::awaitable<Next> handle(std::string line);
  boost::asio::awaitable<Next> fail_at(Failure failure, Request request);
  boost::asio::awaitable<void> hold();
  boost::asio::awaitable<bool> flood();
  boost::asio::awaitable<void> send_long_line();
  boost::asio::awaitable<bool> send(std::string text);
  boost::asio::awaitable<bool> send_reply(SharedText reply, std::string id);
  boost::asio::awaitable<bool> read_some();
  void count(const std::string& command);
  SharedText reply_to(const Request& request);
  SharedText human_reply(const std::string& line) const;
  SharedText set_event_state(const nlohmann::json& arguments);

  const Recording& recording_;
  const std::string name_;
  const std::string path_;
  const Clock::time_point born_ = Clock::now();
  boost::asio::local::stream_protocol::acceptor acceptor_;
  boost::asio::local::stream_protocol::socket socket_;
  boost::asio::steady_timer delay_;
  bool stopping_ = false;
  bool holding_ = false;

  std::optional<Failure> failure_;
  bool failing_ = false;  // The failure has begun in this session.
  EventNumbers events_on_;
  std::vector<Count> counts_;
  std::string input_;
  std::array<char, 4096> piece_;
};

}  // namespace qemon::fake
