// HttpSession: one connection's life, request by request.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "daemon/http_server.hpp"

namespace qemon::daemon {

/// Counts the bytes of bodies that are on their way to readers, each body once.
class BodiesUnderWay {
 public:
  void add(const std::string& body) {
    Entry& entry = entries_[&body];
    entry.bytes = body.size();
    if (++entry.readers == 1) bytes_ += entry.bytes;
  }
  /// One of its readers has it, or will not get it. It need not be there any more.
  void remove(const std::string* body) {
    const auto found = entries_.find(body);
    if (--found->second.readers > 0) return;
    bytes_ -= found->second.bytes;
    entries_.erase(found);
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::size_t readers = 0;
    std::size_t bytes = 0;
  };
  std::unordered_map<const std::string*, Entry> entries_;
  std::size_t bytes_ = 0;
};

/// What the sessions of one listener share, and the listener owns.
struct HttpSessionContext {
  const HttpHandler& handler;
  const HttpLimits& limits;
  HttpStats& stats;
  BodiesUnderWay bodies;
  /// Ends responses that have been under way for long, until there is room for another one. False
  /// if there is none.
  std::function<bool()> make_room_for_body;
};

/// Owned by the server's listener until run() has ended; so is its context.
class HttpSession {
 public:
  using Stream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;
  using Clock = std::chrono::steady_clock;

  /// Whom the connection waits for.
  enum class Phase : std::uint8_t {
    receiving,  ///< For the client, who is to send a whole request.
    answering,  ///< For the handler.
    sending,    ///< For the client, who is to take the response.
  };

  HttpSession(Stream::socket_type socket, std::optional<PeerCredentials> peer,
              HttpSessionContext& context);
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;
  ~HttpSession() { release_body(); }

  /// Serves requests in order until either side has had enough. The connection is closed when it
  /// returns.
  [[nodiscard]] boost::asio::awaitable<void> run();

  /// Ends the connection at once; only a handler in progress is still waited for.
  void close();
  /// Ends the connection after the response in progress, or at once if there is none.
  void finish();

  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] Clock::time_point phase_began() const { return phase_began_; }

 private:
  struct Exchange;

  void enter(Phase phase);
  void cancel_at(Clock::time_point deadline);
  [[nodiscard]] boost::asio::awaitable<bool> receive_first_byte();
  [[nodiscard]] boost::asio::awaitable<bool> receive(Exchange& exchange);
  [[nodiscard]] boost::asio::awaitable<boost::beast::error_code> read(Exchange& exchange);
  [[nodiscard]] boost::asio::awaitable<HttpResponse> respond(Exchange& exchange);
  [[nodiscard]] boost::asio::awaitable<HttpResponse> answer(HttpRequest request);
  [[nodiscard]] boost::asio::awaitable<bool> send(HttpResponse response, const Exchange& exchange);
  [[nodiscard]] boost::asio::awaitable<void> linger();
  void release_body();

  Stream stream_;
  boost::beast::flat_buffer
      buffer_;  // What was read and not used yet: pipelined requests wait here.
  std::optional<PeerCredentials> peer_;
  HttpSessionContext& context_;
  Phase phase_ = Phase::receiving;
  Clock::time_point phase_began_ = Clock::now();
  // The stream's own deadline closes the connection, and then nobody can be told why.
  boost::asio::steady_timer deadline_;
  bool deadline_pending_ = false;
  bool timed_out_ = false;
  const std::string* body_under_way_ = nullptr;
  bool finishing_ = false;
  bool closed_ = false;
};

}  // namespace qemon::daemon
