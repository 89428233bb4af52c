// HttpServer: listens on TCP and on Unix sockets, and gives the requests to a handler.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>

#include "base/result.hpp"
#include "daemon/http_message.hpp"
#include "daemon/listen_socket.hpp"

namespace qemon::daemon {

struct HttpLimits {
  /// Per listener. One more makes room for itself by ending the connection that has kept us waiting
  /// for a request the longest, else the one whose response has been under way the longest; if all
  /// are being answered, it gets a 503.
  std::size_t connections_max = 128;
  std::uint32_t header_bytes_max = 8 * 1024;
  std::uint64_t body_bytes_max = 64 * 1024;
  /// How long a connection may rest between requests. More than a minute, because Prometheus keeps
  /// its connection, and must not find it closed at the very moment of the next scrape.
  std::chrono::milliseconds idle_max{90'000};
  std::chrono::milliseconds read_max{
      30'000};  ///< For one request, from its first byte to its last.
  std::chrono::milliseconds write_max{30'000};  ///< For one response.
  /// How long a response is left alone even if its connection is wanted for others.
  std::chrono::milliseconds write_undisturbed{1'000};
  std::chrono::milliseconds stop_max{1'000};  ///< How long stop() lets responses be written.
  /// Per listener. While more bytes than this are on their way to slow readers, one more request
  /// ends the response that has been under way the longest, else it gets a 503, so that readers who
  /// do not read cannot fill the memory.
  std::size_t response_bytes_max = std::size_t{256} * 1024 * 1024;
};

/// Of a process with few file descriptors, connections get a quarter: the VMs need theirs.
[[nodiscard]] HttpLimits limits_of_this_process();

struct HttpStats {
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;          ///< Given to a handler.
  std::uint64_t bad_requests = 0;      ///< Refused without asking the handler, but for a 503.
  std::uint64_t handler_failures = 0;  ///< Handlers that threw: answered with 500.
  std::uint64_t evictions = 0;         ///< Connections ended to make room for others.
  std::uint64_t refusals = 0;          ///< Connections and requests answered with 503.
  std::uint64_t accept_failures = 0;  ///< For instance no file descriptors left; accepting goes on.
};

/// HTTP/1.1 with keep-alive, pipelining and HEAD. Used by one thread, that of the executor. Before
/// it is destroyed, stop() must have finished, or the io_context must not run any more.
class HttpServer {
 public:
  explicit HttpServer(boost::asio::any_io_executor executor, HttpLimits limits = {});
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();

  /// Listens on "HOST:PORT": "127.0.0.1:9749", "[::1]:9749", "localhost:9749", or ":9749" for all
  /// addresses. Port 0 lets the system choose. Returns the address in use, with the port that it
  /// has.
  [[nodiscard]] Result<std::string> listen_tcp(const std::string& address, HttpHandler handler);

  /// Listens on a Unix socket with these permissions, whatever the umask. A socket file on which
  /// nobody listens any more is replaced; one that is in use, and any other kind of file, is an
  /// error. The file is removed by stop().
  [[nodiscard]] Result<void> listen_unix(const std::string& path, unsigned mode,
                                         HttpHandler handler);

  /// The same with a socket that listens already. Its address is only for messages.
  [[nodiscard]] Result<std::string> listen_tcp(TcpListenSocket socket, HttpHandler handler);
  [[nodiscard]] Result<void> listen_unix(UnixListenSocket socket, HttpHandler handler);

  /// Stops listening, ends connections that wait for a request, lets responses be finished for
  /// `stop_max`, and returns when every connection and every handler is gone.
  [[nodiscard]] boost::asio::awaitable<void> stop();

  [[nodiscard]] const HttpStats& stats() const { return stats_; }
  [[nodiscard]] std::size_t connections() const;

 private:
  struct Listener;

  [[nodiscard]] bool quiet() const;
  bool make_room_for_descriptor();

  boost::asio::any_io_executor executor_;
  HttpLimits limits_;
  HttpStats stats_;
  boost::asio::steady_timer changed_;  // Cancelled whenever something ended: what stop() waits for.
  bool stopping_ = false;
  std::list<Listener> listeners_;  // A list, because their coroutines keep references. Last: they
                                   // use all of the above.
};

}  // namespace qemon::daemon
