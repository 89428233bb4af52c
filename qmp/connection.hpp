// Connection: a MonitorSession on a socket; what Client and its suspended coroutines share. Heavy:
// for client.cpp and connection.cpp.
#pragma once

#include <sys/types.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "qmp/client.hpp"
#include "qmp/monitor_session.hpp"

namespace qemon::qmp {

/// Owned together by the Client and by each coroutine below, whose `self` is that share.
/// Single-threaded, like the Client. Invariant: the socket is open exactly as long as the session
/// has not ended and `end` has not been called.
class Connection {
 public:
  Connection(Client::Socket socket, Protocol protocol);

  using Self = std::shared_ptr<Connection>;
  static boost::asio::awaitable<Result<Greeting>> handshake(Self self,
                                                            std::chrono::milliseconds deadline);
  static boost::asio::awaitable<Error> run(Self self);
  static boost::asio::awaitable<Result<nlohmann::json>> execute(Self self, std::string command,
                                                                nlohmann::json arguments,
                                                                UniqueFd descriptor,
                                                                std::chrono::milliseconds deadline);

  /// Ends the session, closes the socket, wakes everybody; the first reason stays.
  void end(Error reason);

  [[nodiscard]] const MonitorSession& session() const { return session_; }
  [[nodiscard]] ClientStatistics statistics() const;
  [[nodiscard]] std::optional<PeerCredentials> peer() const { return peer_; }
  [[nodiscard]] bool is_unix() const { return is_unix_; }

  std::function<void(const Event&)> on_event;
  std::function<void(std::chrono::nanoseconds)> on_round_trip;

 private:
  /// A coroutine in `execute`. The timer is both its deadline and its notification.
  struct Waiter {
    explicit Waiter(const boost::asio::any_io_executor& executor) : timer(executor) {}
    boost::asio::steady_timer timer;
    std::optional<std::chrono::steady_clock::time_point> sent;
    std::optional<Result<nlohmann::json>> result;
  };

  /// Takes a command off the books when its coroutine ends in whatever way, even by being destroyed
  /// while it waits.
  struct Leave {
    Connection& connection;
    CommandId id;
    ~Leave() {
      connection.session_.abandon(id);
      // A human monitor is asked whether it still answers.
      connection.output_bell_.cancel();
      connection.waiters_.erase(id);
    }
  };

  static boost::asio::awaitable<void> read_loop(Self self);
  static boost::asio::awaitable<void> write_loop(Self self);
  static boost::asio::awaitable<bool> read_some(Self self);
  static boost::asio::awaitable<void> send(Self self, Output output);
  [[nodiscard]] std::chrono::milliseconds rest_due();
  ssize_t receive_now();
  void dispatch_until_ready();
  void dispatch_all();
  void dispatch(Incoming incoming);
  void answer(Reply reply);
  void handshake_too_late(std::chrono::milliseconds deadline);
  void end_if_session_ended();

  Client::Socket socket_;
  const bool is_unix_;
  std::optional<PeerCredentials> peer_;
  MonitorSession session_;
  // By id. Waiters stay where they are when others come and go, which unordered_map promises.
  std::unordered_map<CommandId, Waiter> waiters_;
  boost::asio::steady_timer handshake_timer_;
  boost::asio::steady_timer output_bell_;  // Never expires; cancelled to wake the writer.
  ClientStatistics statistics_;
  // What may still come unasked without a rest; see connection.cpp.
  double allowance_bytes_;
  std::uint64_t unasked_bytes_ = 0;  // That were taken off it.
  std::chrono::steady_clock::time_point allowance_time_;
  boost::asio::steady_timer rest_timer_;
  bool closed_ = false;
};

/// "5 s", "250 ms".
std::string to_text(std::chrono::milliseconds duration);

}  // namespace qemon::qmp
