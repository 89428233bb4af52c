// HttpSession: one connection's life, request by request.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <cstdint>
#include <optional>

#include "daemon/http_server.hpp"

namespace qemon::daemon {

/// Owned by the server's listener until run() has ended; handler, limits and stats are the
/// server's.
class HttpSession {
 public:
  using Stream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;
  using Clock = std::chrono::steady_clock;

  HttpSession(Stream::socket_type socket, std::optional<PeerCredentials> peer,
              const HttpHandler& handler, const HttpLimits& limits, HttpStats& stats,
              std::uint64_t& response_bytes);

  /// Serves requests in order until either side has had enough. The connection is closed when it
  /// returns.
  [[nodiscard]] boost::asio::awaitable<void> run();

  /// Ends the connection at once; only a handler in progress is still waited for.
  void close();
  /// Ends the connection after the response in progress, or at once if there is none.
  void finish();

  [[nodiscard]] bool closed() const { return closed_; }
  /// Since when the client has kept us waiting for a whole request; nothing while one is being
  /// answered.
  [[nodiscard]] std::optional<Clock::time_point> waiting_since() const { return waiting_since_; }

 private:
  struct Exchange;

  [[nodiscard]] boost::asio::awaitable<bool> receive_first_byte();
  [[nodiscard]] boost::asio::awaitable<bool> receive(Exchange& exchange);
  [[nodiscard]] boost::asio::awaitable<HttpResponse> answer(HttpRequest request);
  [[nodiscard]] boost::asio::awaitable<bool> send(HttpResponse response, const Exchange& exchange);
  [[nodiscard]] boost::asio::awaitable<void> linger();

  Stream stream_;
  boost::beast::flat_buffer
      buffer_;  // What was read and not used yet: pipelined requests wait here.
  std::optional<PeerCredentials> peer_;
  const HttpHandler& handler_;
  const HttpLimits& limits_;
  HttpStats& stats_;
  std::uint64_t&
      response_bytes_;  // Of bodies on their way: the listener's, shared by its sessions.
  std::optional<Clock::time_point> waiting_since_;
  bool finishing_ = false;
  bool closed_ = false;
};

}  // namespace qemon::daemon
