#include "daemon/http_session.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <exception>
#include <string_view>
#include <utility>

#include "daemon/http_refusal.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

/// How much is taken from a client whose request was refused, so that it sees the answer instead of
/// a reset.
constexpr std::size_t linger_bytes_max = 1024 * 1024;
constexpr std::chrono::seconds linger_max{2};

}  // namespace

/// One request and what of it matters for the response.
struct HttpSession::Exchange {
  http::request_parser<http::string_body> parser;
  std::optional<HttpResponse> refused;  ///< Set if the handler need not be asked.
  bool head = false;
  bool keep_alive = false;
  unsigned version = 11;
};

HttpSession::HttpSession(Stream::socket_type socket, std::optional<PeerCredentials> peer,
                         HttpSessionContext& context)
    : stream_(std::move(socket)),
      buffer_(context.limits.header_bytes_max + context.limits.body_bytes_max),
      peer_(std::move(peer)),
      context_(context),
      deadline_(stream_.get_executor()) {}

asio::awaitable<void> HttpSession::run() {
  bool more = true;
  while (more && !finishing_ && !closed_) {
    Exchange exchange;
    enter(Phase::receiving);
    const bool received = co_await receive(exchange);
    if (!received || closed_) break;

    enter(Phase::answering);
    HttpResponse response = co_await respond(exchange);
    if (closed_) break;
    if (finishing_) exchange.keep_alive = false;
    enter(Phase::sending);
    more = co_await send(std::move(response), exchange);
    if (more || closed_) continue;
    enter(Phase::receiving);
    co_await linger();
  }
  close();
}

void HttpSession::enter(Phase phase) {
  phase_ = phase;
  phase_began_ = Clock::now();
}

/// Passes over empty lines in front of a request, as some clients send them behind a body.
asio::awaitable<bool> HttpSession::receive_first_byte() {
  stream_.expires_after(context_.limits.idle_max);
  for (;;) {
    const std::string_view unread(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    buffer_.consume(std::min(unread.find_first_not_of("\r\n"), unread.size()));
    if (buffer_.size() > 0) co_return true;
    const auto room = buffer_.prepare(std::min<std::size_t>(buffer_.max_size(), 4096));
    const auto [error, count] = co_await stream_.async_read_some(room, use_tuple);
    buffer_.commit(count);
    if (error) co_return false;
  }
}

/// Reads one whole request, or the reason to refuse it. False if the connection is over.
asio::awaitable<bool> HttpSession::receive(Exchange& exchange) {
  const bool begun = co_await receive_first_byte();
  if (!begun || closed_) co_return false;
  stream_.expires_never();
  cancel_at(Clock::now() + context_.limits.read_max);
  beast::error_code error;
  std::exception_ptr failure;
  try {
    error = co_await read(exchange);
  } catch (...) {
    failure = std::current_exception();
  }
  deadline_.cancel();
  // Its handler uses this session, which must not end before it.
  while (deadline_pending_) co_await asio::post(stream_.get_executor(), asio::use_awaitable);
  if (failure) std::rethrow_exception(failure);
  if (closed_) co_return false;
  if (error && !exchange.refused) {
    const auto unread = buffer_.data();
    exchange.refused =
        timed_out_ ? refuse_slow(context_.limits)
                   : refuse_unreadable(error, !exchange.parser.get().target().empty(),
                                       {static_cast<const char*>(unread.data()), unread.size()},
                                       context_.limits);
    co_return exchange.refused.has_value();
  }
  if (exchange.refused) co_return true;
  exchange.head = exchange.parser.get().method() == http::verb::head;
  exchange.keep_alive = exchange.parser.keep_alive();
  exchange.version = exchange.parser.get().version();
  co_return true;
}

asio::awaitable<beast::error_code> HttpSession::read(Exchange& exchange) {
  auto& parser = exchange.parser;
  parser.header_limit(context_.limits.header_bytes_max);
  parser.body_limit(context_.limits.body_bytes_max);
  beast::error_code error;
  std::tie(error, std::ignore) =
      co_await http::async_read_header(stream_, buffer_, parser, use_tuple);
  if (error || closed_) co_return error;
  exchange.refused = refuse_header(parser.get());
  if (exchange.refused || parser.is_done()) co_return error;
  if (parser.get().version() == 11 && parser.get().count(http::field::expect) > 0) {
    constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    const auto bytes = asio::buffer(go_on);
    std::tie(error, std::ignore) = co_await asio::async_write(stream_, bytes, use_tuple);
    if (error || closed_) co_return error;
  }
  std::tie(error, std::ignore) = co_await http::async_read(stream_, buffer_, parser, use_tuple);
  co_return error;
}

/// Ends what the stream waits for, if that is not over by then. The connection stays open.
void HttpSession::cancel_at(Clock::time_point deadline) {
  timed_out_ = false;
  deadline_pending_ = true;
  deadline_.expires_at(deadline);
  deadline_.async_wait([this](const beast::error_code& error) {
    deadline_pending_ = false;
    if (error) return;
    timed_out_ = true;
    stream_.cancel();
  });
}

/// The handler's response, or one that says why there is none.
asio::awaitable<HttpResponse> HttpSession::respond(Exchange& exchange) {
  HttpStats& stats = context_.stats;
  if (exchange.refused) {
    ++stats.bad_requests;
    co_return std::move(*exchange.refused);
  }
  auto& message = exchange.parser.get();
  // The two kinds of target that are no path, each with its method: handlers refuse the method.
  const bool needs_no_path = message.method() == http::verb::connect ||
                             (message.method() == http::verb::options && message.target() == "*");
  Result<HttpRequest> request = parse_target(needs_no_path ? "/" : message.target());
  if (!request) {
    ++stats.bad_requests;
    co_return text_response(400, request.error().detail);
  }
  if (context_.bodies.bytes() >= context_.limits.response_bytes_max &&
      !context_.make_room_for_body()) {
    ++stats.refusals;
    co_return text_response(503, "too many responses are waiting for their readers");
  }
  request->method = exchange.head ? "GET" : std::string(message.method_string());
  request->content_type = std::string(message[http::field::content_type]);
  for (auto [line, end] = message.equal_range(http::field::accept_encoding); line != end; ++line)
    request->accept_encoding +=
        (request->accept_encoding.empty() ? "" : ", ") + std::string(line->value());
  request->body = std::move(message.body());
  request->peer = peer_;
  ++stats.requests;
  HttpResponse response = co_await answer(std::move(*request));
  co_return response;
}

/// What the handler says, or a 500 if it fails.
asio::awaitable<HttpResponse> HttpSession::answer(HttpRequest request) {
  std::string failure;
  try {
    co_return co_await context_.handler(std::move(request));
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "unknown";
  }
  ++context_.stats.handler_failures;
  co_return text_response(500, "internal error: " + failure);
}

/// True if the connection can be used for another request.
asio::awaitable<bool> HttpSession::send(HttpResponse response, const Exchange& exchange) {
  const std::string& body = response.shared_body ? *response.shared_body : response.body;
  http::response<http::span_body<const char>> message;
  message.version(exchange.version);
  message.result(response.status);
  message.set(http::field::server, "qemond");
  message.set(http::field::content_type, response.content_type);
  message.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.keep_alive(exchange.keep_alive);
  message.body() = {body.data(), body.size()};
  message.content_length(body.size());

  context_.bodies.add(body);
  body_under_way_ = &body;
  http::response_serializer<http::span_body<const char>> serializer(message);
  stream_.expires_after(context_.limits.write_max);
  beast::error_code error;
  if (exchange.head) {
    std::tie(error, std::ignore) =
        co_await http::async_write_header(stream_, serializer, use_tuple);
  } else {
    std::tie(error, std::ignore) = co_await http::async_write(stream_, serializer, use_tuple);
  }
  release_body();
  if (error) close();
  co_return !error && exchange.keep_alive;
}

void HttpSession::release_body() {
  if (body_under_way_ != nullptr) context_.bodies.remove(std::exchange(body_under_way_, nullptr));
}

/// Closing while there is something that the client sent and nobody read would reset the
/// connection, and the client might never see the response.
asio::awaitable<void> HttpSession::linger() {
  beast::error_code error;
  stream_.socket().shutdown(asio::socket_base::shutdown_send, error);
  stream_.expires_after(linger_max);
  buffer_.clear();
  std::size_t total = 0;
  while (!error && !closed_ && total < linger_bytes_max) {
    const auto room = buffer_.prepare(std::min<std::size_t>(buffer_.max_size(), 4096));
    std::size_t count = 0;
    std::tie(error, count) = co_await stream_.async_read_some(room, use_tuple);
    total += count;
  }
}

void HttpSession::close() {
  if (closed_) return;
  closed_ = true;
  release_body();
  stream_.close();
}

void HttpSession::finish() {
  finishing_ = true;
  if (phase_ == Phase::receiving) close();
}

}  // namespace qemon::daemon
