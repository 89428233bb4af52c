// Client: one connection to a monitor, for coroutines.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "base/peer_credentials.hpp"
#include "base/result.hpp"
#include "qmp/endpoint.hpp"
#include "qmp/types.hpp"

namespace qemon::qmp {

class Connection;

/// Commands run on QEMU's main loop, which device emulation may hold for seconds. Later than this,
/// something is wrong.
inline constexpr std::chrono::milliseconds default_deadline{5000};

struct ClientOptions {
  /// For connecting and the handshake together. A monitor that is free greets within milliseconds.
  std::chrono::milliseconds handshake_deadline{5000};
  /// For the constructor; `connect` takes the endpoint's. Over a human monitor there are no QMP
  /// events, and `execute` answers what query-commands lists and refuses the rest with
  /// errc::command_not_found.
  Protocol protocol = Protocol::qmp;
};

struct ClientStatistics {
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t events = 0;
  std::uint64_t timeouts = 0;      ///< Commands whose deadline passed.
  std::uint64_t unknown_ids = 0;   ///< Replies dropped because we never asked.
  std::uint64_t late_replies = 0;  ///< Replies dropped because their deadline had passed.
  /// From a command's going out to its reply; a command that timed out is in none of these.
  std::uint64_t round_trips = 0;
  std::chrono::nanoseconds round_trip_sum{0};
  std::chrono::nanoseconds round_trip_last{0};
};

/// One connection's life: made when connected, destroyed on disconnect, never reset.
///
/// Owner: whoever looks after the VM. It makes the client (`connect`, or the constructor and
/// `handshake`), then spawns `run`, and calls `execute` from any number of coroutines. `close`, or
/// the destructor, ends the session: `run` returns why, and every `execute` returns that reason.
/// Coroutines that are suspended in here when the client is destroyed finish safely by themselves
/// on the next turns of the executor; callbacks are not called any more. The executor's context
/// must outlive the client.
///
/// Thread: one. Everything must happen on a single-threaded executor. Callbacks may call `close`
/// and `execute`'s spawning, but must not throw.
class Client {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  /// Connects and shakes hands. Errors begin with the endpoint, and are errc::busy if somebody else
  /// holds the monitor.
  static boost::asio::awaitable<Result<std::unique_ptr<Client>>> connect(
      boost::asio::any_io_executor executor, Endpoint endpoint, ClientOptions options);

  /// On a socket that is connected already; call `handshake` next.
  Client(Socket socket, ClientOptions options);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  /// Once, before `run`. Commands executed earlier wait for it. QMP events that come right behind
  /// the handshake are kept until `run` starts, so there is time to call `on_event`.
  boost::asio::awaitable<Result<Greeting>> handshake();

  /// Reads and writes until the session ends, and returns why. Without it no command is sent or
  /// answered.
  boost::asio::awaitable<Error> run();

  /// What QEMU returned for `command`. `arguments` is an object, or null for none. After `deadline`
  /// the answer is errc::timed_out; a command that was still waiting to be sent is then never sent,
  /// but one on the wire may yet be carried out. QEMU's refusals are errc::command_failed and its
  /// neighbours, with QEMU's own text.
  boost::asio::awaitable<Result<nlohmann::json>> execute(std::string command,
                                                         nlohmann::json arguments,
                                                         std::chrono::milliseconds deadline);

  /// The same, with a copy of the file descriptor `fd` for QEMU to take. Unix sockets only. `fd`
  /// may be closed as soon as this has been called.
  boost::asio::awaitable<Result<nlohmann::json>> execute_with_descriptor(
      std::string command, nlohmann::json arguments, int fd, std::chrono::milliseconds deadline);

  /// Ends the session now.
  void close();

  /// Called for each QMP event. The event is valid during the call only.
  void on_event(std::function<void(const Event&)> callback);
  /// Called for each reply in time, with what ClientStatistics sums up.
  void on_round_trip(std::function<void(std::chrono::nanoseconds)> callback);

  /// What the monitor said of itself; only after the handshake.
  [[nodiscard]] const Greeting& greeting() const;
  [[nodiscard]] ClientStatistics statistics() const;
  /// The process at the other end of a Unix socket, if the kernel tells. After `-runas` its user is
  /// not QEMU's any more (measured on 7.2): look at its threads in /proc for that.
  [[nodiscard]] std::optional<PeerCredentials> peer() const;

 private:
  // Shared with the coroutines that are suspended in it, so that neither the client nor they need
  // to end first.
  std::shared_ptr<Connection> connection_;
  ClientOptions options_;
};

}  // namespace qemon::qmp
