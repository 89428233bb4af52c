#include "daemon/http_session.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <exception>
#include <string_view>
#include <utility>

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

/// The response to a request that could not be read; nothing if the connection is gone and there is
/// no one to tell.
std::optional<HttpResponse> refusal(const beast::error_code& error, const HttpLimits& limits) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return text_response(
        431, "the header is longer than " + std::to_string(limits.header_bytes_max) + " bytes");
  if (error == http::error::body_limit)
    return text_response(
        413, "the body is longer than " + std::to_string(limits.body_bytes_max) + " bytes");
  if (error == http::error::end_of_stream || error == http::error::partial_message)
    return std::nullopt;
  if (error.category() == http::make_error_code(http::error::bad_method).category())
    return text_response(400, "not an HTTP request: " + error.message());
  return std::nullopt;  // The deadline passed, or the connection broke.
}

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
                         const HttpHandler& handler, const HttpLimits& limits, HttpStats& stats,
                         std::uint64_t& response_bytes)
    : stream_(std::move(socket)),
      buffer_(limits.header_bytes_max + limits.body_bytes_max),
      peer_(std::move(peer)),
      handler_(handler),
      limits_(limits),
      stats_(stats),
      response_bytes_(response_bytes) {}

asio::awaitable<void> HttpSession::run() {
  bool more = true;
  while (more && !finishing_ && !closed_) {
    Exchange exchange;
    waiting_since_ = Clock::now();
    const bool received = co_await receive(exchange);
    waiting_since_.reset();
    if (!received || closed_) break;

    HttpResponse response;
    if (exchange.refused) {
      ++stats_.bad_requests;
      response = std::move(*exchange.refused);
    } else {
      Result<HttpRequest> request = parse_target(exchange.parser.get().target());
      if (response_bytes_ >= limits_.response_bytes_max) {
        ++stats_.refusals;
        response = text_response(503, "too many responses are waiting for their readers");
      } else if (request) {
        auto& message = exchange.parser.get();
        request->method = exchange.head ? "GET" : std::string(message.method_string());
        request->content_type = std::string(message[http::field::content_type]);
        request->accept = std::string(message[http::field::accept]);
        request->body = std::move(message.body());
        request->peer = peer_;
        ++stats_.requests;
        response = co_await answer(std::move(*request));
      } else {
        ++stats_.bad_requests;
        response = text_response(400, request.error().detail);
      }
    }
    if (closed_) break;
    if (finishing_) exchange.keep_alive = false;
    more = co_await send(std::move(response), exchange);
    if (exchange.refused && !closed_) {
      waiting_since_ = Clock::now();
      co_await linger();
    }
  }
  close();
}

asio::awaitable<bool> HttpSession::receive_first_byte() {
  if (buffer_.size() > 0) co_return true;
  stream_.expires_after(limits_.idle_max);
  const auto room = buffer_.prepare(std::min<std::size_t>(buffer_.max_size(), 4096));
  const auto [error, count] = co_await stream_.async_read_some(room, use_tuple);
  buffer_.commit(count);
  co_return !error;
}

/// Reads one whole request, or the reason to refuse it. False if the connection is over.
asio::awaitable<bool> HttpSession::receive(Exchange& exchange) {
  const bool begun = co_await receive_first_byte();
  if (!begun || closed_) co_return false;
  auto& parser = exchange.parser;
  parser.header_limit(limits_.header_bytes_max);
  parser.body_limit(limits_.body_bytes_max);
  stream_.expires_after(limits_.read_max);
  beast::error_code error;
  std::tie(error, std::ignore) =
      co_await http::async_read_header(stream_, buffer_, parser, use_tuple);
  if (closed_) co_return false;
  if (!error && beast::iequals(parser.get()[http::field::expect], "100-continue") &&
      !parser.is_done()) {
    constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    const auto bytes = asio::buffer(go_on);
    std::tie(error, std::ignore) = co_await asio::async_write(stream_, bytes, use_tuple);
    if (error || closed_) co_return false;
  }
  if (!error && !parser.is_done())
    std::tie(error, std::ignore) = co_await http::async_read(stream_, buffer_, parser, use_tuple);
  if (error) {
    exchange.refused = refusal(error, limits_);
    co_return exchange.refused.has_value();
  }
  exchange.head = parser.get().method() == http::verb::head;
  exchange.keep_alive = parser.keep_alive();
  exchange.version = parser.get().version();
  co_return true;
}

/// What the handler says, or a 500 if it fails.
asio::awaitable<HttpResponse> HttpSession::answer(HttpRequest request) {
  std::string failure;
  try {
    co_return co_await handler_(std::move(request));
  } catch (const std::exception& error) {
    failure = error.what();
  } catch (...) {
    failure = "unknown";
  }
  ++stats_.handler_failures;
  co_return text_response(500, "internal error: " + failure);
}

/// True if the connection can be used for another request.
asio::awaitable<bool> HttpSession::send(HttpResponse response, const Exchange& exchange) {
  http::response<http::string_body> message;
  message.version(exchange.version);
  message.result(response.status);
  message.set(http::field::server, "qemond");
  message.set(http::field::content_type, response.content_type);
  message.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.keep_alive(exchange.keep_alive);
  message.body() = std::move(response.body);
  message.content_length(message.body().size());

  const std::size_t body_bytes = message.body().size();
  response_bytes_ += body_bytes;
  http::response_serializer<http::string_body> serializer(message);
  stream_.expires_after(limits_.write_max);
  beast::error_code error;
  if (exchange.head) {
    std::tie(error, std::ignore) =
        co_await http::async_write_header(stream_, serializer, use_tuple);
  } else {
    std::tie(error, std::ignore) = co_await http::async_write(stream_, serializer, use_tuple);
  }
  response_bytes_ -= body_bytes;
  co_return !error && exchange.keep_alive;
}

/// Closing while the client still sends would reset the connection, and the client might never see
/// why it was refused.
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
  stream_.close();
}

void HttpSession::finish() {
  finishing_ = true;
  if (waiting_since_) close();
}

}  // namespace qemon::daemon
