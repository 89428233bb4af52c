#include "qmp/client.hpp"

#include <fcntl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/utf8.hpp"
#include "qmp/connection.hpp"
#include "qmp/error.hpp"

namespace qemon::qmp {

namespace asio = boost::asio;
using asio::ip::tcp;
using nlohmann::json;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

using GenericEndpoint = asio::generic::stream_protocol::endpoint;

// Connecting under a deadline. Shared by the coroutine and the deadline's handler, which may run
// after it.
struct Attempt {
  explicit Attempt(const asio::any_io_executor& executor)
      : socket(executor), resolver(executor), deadline(executor) {}
  Client::Socket socket;
  tcp::resolver resolver;
  asio::steady_timer deadline;
  bool expired = false;
};

using AttemptPtr = std::shared_ptr<Attempt>;

void watch(const AttemptPtr& attempt, std::chrono::milliseconds deadline) {
  attempt->deadline.expires_after(deadline);
  attempt->deadline.async_wait([attempt](const boost::system::error_code& ec) {
    if (ec) return;
    attempt->expired = true;
    attempt->resolver.cancel();
    boost::system::error_code ignored;
    attempt->socket.close(ignored);
  });
}

// One line that says what is wrong and what to do about it.
Error connect_error(const boost::system::error_code& ec, const Endpoint& endpoint) {
  const bool human = endpoint.protocol == Protocol::hmp;
  Endpoint address = endpoint;
  address.protocol = Protocol::qmp;
  const std::string option =
      (human ? "-monitor " : "-qmp ") + to_string(address) + ",server=on,wait=off";
  std::string why = "cannot connect: " + ec.message();
  if (ec == boost::system::errc::no_such_file_or_directory) {
    why = "no such socket: start QEMU with " + option + ", or correct the path";
  } else if (ec == boost::system::errc::connection_refused) {
    why = endpoint.transport == Transport::unix_socket
              ? "nobody listens on this socket: its QEMU has ended, or the path is not a socket; "
                "start QEMU with " +
                    option
              : "connection refused: nobody listens there; start QEMU with " + option;
  } else if (ec == boost::system::errc::permission_denied) {
    why = "permission denied: allow this user to write to the socket and to enter its directories";
  } else if (ec == boost::system::errc::wrong_protocol_type) {
    why = "not a stream socket: this cannot be a QEMU monitor; correct the path";
  }
  return Error{std::move(why), std::error_code(ec.value(), std::generic_category())};
}

// The kernel does not queue a connect to a Unix socket whose backlog is full, and Boost 1.81 takes
// its EAGAIN for "in progress" and then reports success. Only a connected socket has a peer.
bool is_connected(Client::Socket& socket) {
  boost::system::error_code ec;
  socket.remote_endpoint(ec);
  return !ec;
}

asio::awaitable<Result<std::vector<GenericEndpoint>>> addresses(AttemptPtr attempt,
                                                                Endpoint endpoint) {
  std::vector<GenericEndpoint> found;
  if (endpoint.transport == Transport::unix_socket) {
    found.emplace_back(asio::local::stream_protocol::endpoint(endpoint.path));
    co_return std::move(found);
  }
  boost::system::error_code not_numeric;
  const auto address = asio::ip::make_address(endpoint.host, not_numeric);
  if (!not_numeric) {
    found.emplace_back(tcp::endpoint(address, endpoint.port));
    co_return std::move(found);
  }
  const std::string port = std::to_string(endpoint.port);
  auto [ec, results] = co_await attempt->resolver.async_resolve(endpoint.host, port, as_result);
  if (ec) {
    co_return make_error(
        errc::invalid_argument,
        "cannot look up the host \"" + one_line(endpoint.host) + "\": " + ec.message());
  }
  for (const auto& result : results) found.emplace_back(result.endpoint());
  co_return std::move(found);
}

// Leaves a connected socket in `attempt`.
asio::awaitable<Result<void>> open_socket(AttemptPtr attempt, Endpoint endpoint) {
  const auto targets = co_await addresses(attempt, endpoint);
  if (!targets) co_return targets.error();
  Error failure = make_error(errc::invalid_argument, "the host has no address");
  for (const GenericEndpoint& target : *targets) {
    if (attempt->expired) break;
    boost::system::error_code ignored;
    attempt->socket.close(ignored);
    auto [ec] = co_await attempt->socket.async_connect(target, as_result);
    if (attempt->expired) break;
    if (!ec && is_connected(attempt->socket)) {
      if (endpoint.transport == Transport::tcp) {
        // Commands are small and each is waited for.
        attempt->socket.set_option(tcp::no_delay(true), ignored);
      }
      co_return Result<void>();
    }
    failure = ec ? connect_error(ec, endpoint)
                 : make_error(errc::busy,
                              "another client holds this monitor, and more are waiting for it (a "
                              "QEMU monitor serves one client at a time)");
  }
  co_return failure;
}

asio::awaitable<Result<json>> fail(Error error) {
  co_return error;
}

Error with_endpoint(Error error, const Endpoint& endpoint) {
  return wrap(std::move(error), one_line(to_string(endpoint)));
}

}  // namespace

asio::awaitable<Result<std::unique_ptr<Client>>> Client::connect(asio::any_io_executor executor,
                                                                 Endpoint endpoint,
                                                                 ClientOptions options) {
  // An endpoint that was not parsed but put together may hold a path that Asio would throw at.
  const auto checked = parse_endpoint(to_string(endpoint));
  if (!checked) co_return checked.error();
  options.protocol = endpoint.protocol;
  const auto start = std::chrono::steady_clock::now();
  const auto attempt = std::make_shared<Attempt>(executor);
  watch(attempt, options.handshake_deadline);
  const auto opened = co_await open_socket(attempt, endpoint);
  attempt->deadline.cancel();
  if (attempt->expired) {
    auto error =
        make_error(errc::timed_out, "no connection within " + to_text(options.handshake_deadline) +
                                        ": the host does not answer, or another client "
                                        "holds this monitor");
    co_return with_endpoint(std::move(error), endpoint);
  }
  if (!opened) co_return with_endpoint(opened.error(), endpoint);

  auto client = std::make_unique<Client>(std::move(attempt->socket), options);
  const auto used = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - start);
  // Whole seconds read better in the message, and a connection usually takes no time.
  const auto left =
      used.count() < 100 ? options.handshake_deadline : options.handshake_deadline - used;
  const auto greeting = co_await Connection::handshake(client->connection_, left);
  if (!greeting) co_return with_endpoint(greeting.error(), endpoint);
  co_return std::move(client);
}

Client::Client(Socket socket, ClientOptions options)
    : connection_(std::make_shared<Connection>(std::move(socket), options.protocol)),
      options_(options) {}

Client::~Client() {
  close();
}

asio::awaitable<Result<Greeting>> Client::handshake() {
  return Connection::handshake(connection_, options_.handshake_deadline);
}

asio::awaitable<Error> Client::run() {
  return Connection::run(connection_);
}

asio::awaitable<Result<json>> Client::execute(std::string command, json arguments,
                                              std::chrono::milliseconds deadline) {
  return Connection::execute(connection_, std::move(command), std::move(arguments), UniqueFd(),
                             deadline);
}

asio::awaitable<Result<json>> Client::execute_with_descriptor(std::string command, json arguments,
                                                              int fd,
                                                              std::chrono::milliseconds deadline) {
  if (connection_->session().protocol() == Protocol::hmp) {
    return fail(make_error(errc::command_not_found,
                           command + ": a human monitor cannot be given a file descriptor"));
  }
  if (!connection_->is_unix()) {
    return fail(make_error(errc::unsupported,
                           command + ": a file descriptor can be passed over a Unix socket only"));
  }
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail(system_error(errno, command + ": cannot duplicate the descriptor"));
  return Connection::execute(connection_, std::move(command), std::move(arguments), std::move(copy),
                             deadline);
}

void Client::close() {
  connection_->end(make_error(errc::closed, "we closed the monitor connection"));
}

void Client::on_event(std::function<void(const Event&)> callback) {
  connection_->on_event = std::move(callback);
}

void Client::on_round_trip(std::function<void(std::chrono::nanoseconds)> callback) {
  connection_->on_round_trip = std::move(callback);
}

const Greeting& Client::greeting() const {
  return connection_->session().greeting();
}

ClientStatistics Client::statistics() const {
  return connection_->statistics();
}

std::optional<PeerCredentials> Client::peer() const {
  return connection_->peer();
}

}  // namespace qemon::qmp
