#include "daemon/http_server.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/errc.hpp>
#include <exception>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/unique_fd.hpp"
#include "daemon/http_session.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;
using Socket = HttpSession::Stream::socket_type;

namespace {

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

/// How long accepting rests after a failure. There is nothing to wait for when file descriptors
/// have run out.
constexpr std::chrono::milliseconds accept_rest{100};

constexpr std::string_view busy_answer =
    "HTTP/1.1 503 Service Unavailable\r\nServer: qemond\r\nContent-Type: text/plain; "
    "charset=utf-8\r\n"
    "Connection: close\r\nRetry-After: 1\r\nContent-Length: 21\r\n\r\ntoo many connections\n";

}  // namespace

HttpLimits limits_of_this_process() {
  constexpr std::size_t listeners = 2;
  constexpr std::size_t connections_min = 4;
  HttpLimits limits;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
    limits.connections_max = std::clamp<std::size_t>(files.rlim_cur / 4 / listeners,
                                                     connections_min, limits.connections_max);
  return limits;
}

/// A listening socket with its connections. Owned by the server, and in its place until the server
/// is destroyed.
struct HttpServer::Listener {
  Listener(HttpServer& its_server, HttpHandler its_handler)
      : server(its_server),
        handler(std::move(its_handler)),
        acceptor(server.executor_),
        rest(server.executor_),
        context{
            handler, server.limits_, server.stats_, {}, [this] { return make_room_for_body(); }} {}

  void start();
  void stop();
  asio::awaitable<void> accept_loop();
  void admit(Socket socket);
  [[nodiscard]] bool make_room();
  bool make_room_for_body();
  [[nodiscard]] HttpSession* longest_in(HttpSession::Phase phase);
  [[nodiscard]] HttpSession* dispensable();
  void evict(HttpSession& session) const;
  void prepare(int fd, std::optional<PeerCredentials>& peer) const;

  HttpServer& server;
  HttpHandler handler;
  asio::basic_socket_acceptor<Protocol> acceptor;
  asio::steady_timer rest;
  std::optional<UnixListenSocket>
      file;  ///< Unix sockets only; its descriptor has moved to the acceptor.
  bool accepting = false;
  HttpSessionContext context;
  std::list<HttpSession> sessions;  ///< A list, because their coroutines keep references.
};

HttpServer::HttpServer(asio::any_io_executor executor, HttpLimits limits)
    : executor_(std::move(executor)), limits_(limits), changed_(executor_) {}

HttpServer::~HttpServer() {
  for (const Listener& listener : listeners_)
    if (listener.file) remove_socket_file(*listener.file);
}

Result<std::string> HttpServer::listen_tcp(const std::string& address, HttpHandler handler) {
  Result<TcpListenSocket> socket = open_tcp_listener(address);
  if (!socket) return socket.error();
  return listen_tcp(std::move(*socket), std::move(handler));
}

Result<std::string> HttpServer::listen_tcp(TcpListenSocket socket, HttpHandler handler) {
  Listener& listener = listeners_.emplace_back(*this, std::move(handler));
  boost::system::error_code error;
  // The family is only a note that Asio hands on to the accepted sockets; it may be IPv6 as well.
  listener.acceptor.assign(Protocol(AF_INET, IPPROTO_TCP), socket.fd.get(), error);
  if (error) {
    listeners_.pop_back();
    return Error{"listen on " + socket.address + ": " + error.message()};
  }
  std::ignore = socket.fd.release();
  listener.start();
  return {boost::system::in_place_value, std::move(socket.address)};
}

Result<void> HttpServer::listen_unix(const std::string& path, unsigned mode, HttpHandler handler) {
  Result<UnixListenSocket> socket = open_unix_listener(path, mode);
  if (!socket) return socket.error();
  return listen_unix(std::move(*socket), std::move(handler));
}

Result<void> HttpServer::listen_unix(UnixListenSocket socket, HttpHandler handler) {
  Listener& listener = listeners_.emplace_back(*this, std::move(handler));
  boost::system::error_code error;
  listener.acceptor.assign(Protocol(AF_UNIX, 0), socket.fd.get(), error);
  if (error) {
    remove_socket_file(socket);
    listeners_.pop_back();
    return Error{"control socket " + socket.path + ": " + error.message()};
  }
  std::ignore = socket.fd.release();
  listener.file = std::move(socket);
  listener.start();
  return {};
}

asio::awaitable<void> HttpServer::stop() {
  if (!stopping_) {
    stopping_ = true;
    for (Listener& listener : listeners_) listener.stop();
    changed_.expires_after(limits_.stop_max);
  }
  const auto patience_ends = changed_.expiry();
  while (!quiet() && HttpSession::Clock::now() < patience_ends)
    co_await changed_.async_wait(use_tuple);
  for (Listener& listener : listeners_)
    for (HttpSession& session : listener.sessions) session.close();
  // What is left are handlers, and coroutines that are about to see that their socket is closed.
  while (!quiet()) {
    if (changed_.expiry() != HttpSession::Clock::time_point::max())
      changed_.expires_at(HttpSession::Clock::time_point::max());
    co_await changed_.async_wait(use_tuple);
  }
}

std::size_t HttpServer::connections() const {
  std::size_t count = 0;
  for (const Listener& listener : listeners_) count += listener.sessions.size();
  return count;
}

bool HttpServer::quiet() const {
  return std::ranges::all_of(listeners_, [](const Listener& listener) {
    return !listener.accepting && listener.sessions.empty();
  });
}

void HttpServer::Listener::start() {
  accepting = true;
  asio::co_spawn(server.executor_, accept_loop(), [this](const std::exception_ptr& failure) {
    accepting = false;
    server.changed_.cancel();
    if (failure) std::rethrow_exception(failure);
  });
}

void HttpServer::Listener::stop() {
  boost::system::error_code ignored;
  acceptor.close(ignored);
  rest.cancel();
  if (file) remove_socket_file(*file);
  for (HttpSession& session : sessions) session.finish();
}

asio::awaitable<void> HttpServer::Listener::accept_loop() {
  while (!server.stopping_) {
    Socket socket(server.executor_);
    const auto [error] = co_await acceptor.async_accept(socket, use_tuple);
    if (server.stopping_) break;
    if (!error) {
      ++server.stats_.connections;
      admit(std::move(socket));
      continue;
    }
    ++server.stats_.accept_failures;
    // Connections that do nothing must not keep descriptors from others, nor from the VMs.
    const bool no_descriptor = error == boost::system::errc::too_many_files_open ||
                               error == boost::system::errc::too_many_files_open_in_system;
    if (no_descriptor && server.make_room_for_descriptor()) continue;
    rest.expires_after(accept_rest);
    co_await rest.async_wait(use_tuple);
  }
}

void HttpServer::Listener::admit(Socket socket) {
  std::optional<PeerCredentials> peer;
  prepare(socket.native_handle(), peer);
  if (!make_room()) {
    ++server.stats_.refusals;
    // It fits into the empty buffer of a new socket. If it does not get there all the same, the
    // client sees the end.
    std::ignore = ::send(socket.native_handle(), busy_answer.data(), busy_answer.size(),
                         MSG_DONTWAIT | MSG_NOSIGNAL);
    // What was not read would make the end a reset.
    std::array<char, 16 * 1024> request;
    std::ignore = ::recv(socket.native_handle(), request.data(), request.size(), MSG_DONTWAIT);
    return;
  }
  const auto session =
      sessions.emplace(sessions.end(), std::move(socket), std::move(peer), context);
  asio::co_spawn(server.executor_, session->run(), [this, session](const std::exception_ptr&) {
    // An exception here is memory that ran out for one connection; it is over, and the others are
    // not concerned.
    sessions.erase(session);
    server.changed_.cancel();
  });
}

/// True if there is room for one more connection, which may cost another one.
bool HttpServer::Listener::make_room() {
  const auto open =
      std::ranges::count_if(sessions, [](const HttpSession& s) { return !s.closed(); });
  if (static_cast<std::size_t>(open) < server.limits_.connections_max) return true;
  HttpSession* const session = dispensable();
  if (session == nullptr) return false;
  evict(*session);
  return true;
}

bool HttpServer::Listener::make_room_for_body() {
  while (context.bodies.bytes() >= server.limits_.response_bytes_max) {
    HttpSession* const session = longest_in(HttpSession::Phase::sending);
    if (session == nullptr) return false;
    evict(*session);
  }
  return true;
}

/// True if a connection, of whatever listener, has given up its descriptor.
bool HttpServer::make_room_for_descriptor() {
  for (Listener& listener : listeners_) {
    if (HttpSession* const session = listener.dispensable()) {
      listener.evict(*session);
      return true;
    }
  }
  return false;
}

/// The connection that may be ended for another one; nullptr if none may.
HttpSession* HttpServer::Listener::dispensable() {
  HttpSession* const session = longest_in(HttpSession::Phase::receiving);
  return session != nullptr ? session : longest_in(HttpSession::Phase::sending);
}

HttpSession* HttpServer::Listener::longest_in(HttpSession::Phase phase) {
  auto began_before = HttpSession::Clock::now();
  if (phase == HttpSession::Phase::sending) began_before -= server.limits_.write_undisturbed;
  HttpSession* longest = nullptr;
  for (HttpSession& session : sessions) {
    if (session.closed() || session.phase() != phase || session.phase_began() >= began_before)
      continue;
    longest = &session;
    began_before = session.phase_began();
  }
  return longest;
}

void HttpServer::Listener::evict(HttpSession& session) const {
  ++server.stats_.evictions;
  session.close();
}

void HttpServer::Listener::prepare(int fd, std::optional<PeerCredentials>& peer) const {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);  // Asio accepts without it.
  if (file) {
    if (Result<PeerCredentials> credentials = read_peer_credentials(fd); credentials)
      peer = std::move(*credentials);
  } else {
    const int on =
        1;  // Responses to pipelined requests must not wait for each other's acknowledgements.
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
}

}  // namespace qemon::daemon
