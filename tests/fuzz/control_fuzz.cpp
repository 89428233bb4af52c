// Any bytes from a client of qemond's HTTP servers: what is asked below /v1/ by the control API,
// all else by the API of /metrics.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <exception>
#include <nlohmann/json.hpp>
#include <string>

#include "daemon/http_session.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/parked_daemon.hpp"

namespace qemon::fuzz {
namespace {

namespace asio = boost::asio;
using daemon::HttpRequest;
using daemon::HttpResponse;

/// A socket holds as much, so that all of it is there before the server begins.
constexpr std::size_t input_bytes_max = 64 * 1024;

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto size = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    require(size > 0, "a socket holds the input");
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

void check(const HttpResponse& response) {
  require(response.status >= 200 && response.status < 600, "a response has a status");
  require(response.content_type.find_first_of("\r\n") == std::string::npos &&
              !response.content_type.empty(),
          "a response says what it is");
  if (response.content_type == "application/json") {
    const auto body = nlohmann::json::parse(response.body, nullptr, false);
    require(body.is_object(), "a JSON response is an object");
    require(response.status == 200 || body.contains("error"), "a refusal says why");
  }
}

/// The daemon, and one of its connections.
class Server {
 public:
  explicit Server(bool may_control) {
    peer_.uid = may_control ? ::geteuid() : ::geteuid() + 1;
    peer_.gid = ::getegid();
    require(daemon_.experiments().open(runtime_directory()).has_value(), "experiments can be kept");
  }

  /// Lets the client send `bytes` and close its half. Returns when the connection is over.
  void serve(std::string_view bytes) {
    std::array<int, 2> pair{};
    require(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0, "there are sockets");
    write_all(pair[1], bytes);
    ::shutdown(pair[1], SHUT_WR);
    asio::io_context& context = daemon_.serving();
    context.restart();
    daemon::HttpSession::Stream::socket_type socket(context);
    socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), pair[0]);
    const daemon::HttpHandler handler = [this](HttpRequest request) {
      return handle(std::move(request));
    };
    daemon::HttpSessionContext shared{handler, limits_, stats_, {}, [] { return false; }};
    daemon::HttpSession session(std::move(socket), peer_, shared);
    asio::co_spawn(context, session.run(), [](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
    });
    // The client reads what is there whenever the server can write no more.
    while (!session.closed() && context.run_one() > 0) discard(pair[1]);
    ::close(pair[1]);
    context.run();
    require(stats_.handler_failures == 0, "no handler throws");
    require(shared.bodies.bytes() == 0, "no response is on its way any more");
  }

 private:
  asio::awaitable<HttpResponse> handle(HttpRequest request) {
    require(request.path.starts_with('/'), "a path begins with a slash");
    HttpResponse response;
    if (!request.segments.empty() && request.segments.front() == "v1") {
      response = co_await daemon_.control().handle(std::move(request));
    } else {
      response = co_await daemon_.web().handle(std::move(request));
    }
    check(response);
    co_return response;
  }

  static void discard(int fd) {
    std::array<char, 65536> piece{};
    while (::recv(fd, piece.data(), piece.size(), MSG_DONTWAIT) > 0) {
    }
  }

  ParkedDaemon daemon_;
  PeerCredentials peer_;
  daemon::HttpLimits limits_;
  daemon::HttpStats stats_;
};

}  // namespace
}  // namespace qemon::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace qemon::fuzz;
  if (size > input_bytes_max) return 0;
  const auto bytes = text_of(data, size);
  Server(Choices(bytes).below(16) != 0).serve(bytes);
  return 0;
}
