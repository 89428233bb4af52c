#include "daemon/http_post.hpp"

#include <openssl/ssl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "base/version.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t header_bytes_max = 16 * 1024;
constexpr std::uint64_t body_bytes_max = 64 * 1024;

using TlsStream = asio::ssl::stream<beast::tcp_stream&>;

std::string why(const beast::error_code& ec, std::chrono::milliseconds deadline) {
  if (ec == beast::error::timeout)
    return "not done within " + std::to_string(deadline.count()) + " ms";
  return ec.message();
}

/// Whom the certificate must be for.
bool expect_host(SSL* connection, const std::string& host) {
  boost::system::error_code not_numeric;
  asio::ip::make_address(host, not_numeric);
  if (!not_numeric)
    return ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(connection), host.c_str()) == 1;
  return ::SSL_set_tlsext_host_name(connection, host.c_str()) == 1 &&
         ::SSL_set1_host(connection, host.c_str()) == 1;
}

/// What of the certificate is wrong is not in the error code.
std::string why_not_trusted(SSL* connection, const beast::error_code& ec,
                            std::chrono::milliseconds deadline) {
  const long verdict = ::SSL_get_verify_result(connection);
  if (verdict == X509_V_OK || ec == beast::error::timeout) return why(ec, deadline);
  return std::string("its certificate is not trusted (") +
         ::X509_verify_cert_error_string(verdict) +
         "): if it is meant to be, name a file of certificates with ca_file";
}

}  // namespace

HttpPost::HttpPost(asio::any_io_executor executor, GrafanaAddress address,
                   HttpPostDeadlines deadlines, asio::ssl::context* tls)
    : address_(std::move(address)),
      deadlines_(deadlines),
      tls_(tls),
      lookup_(executor),
      stream_(executor) {}

asio::awaitable<Result<HttpPostAnswer>> HttpPost::run(std::string path, std::string body,
                                                      std::string token) {
  auto connected = co_await connect();
  if (!connected) co_return wrap(connected.error(), address_.authority);
  std::string target = address_.path + path;
  // Not `tls ? co_await ... : co_await ...`, whose result g++ 12 destroys twice.
  if (address_.tls) {
    auto answer = co_await exchange_by_tls(std::move(target), std::move(body), std::move(token));
    co_return finished(std::move(answer));
  }
  auto answer = co_await exchange(stream_, std::move(target), std::move(body), std::move(token));
  co_return finished(std::move(answer));
}

Result<HttpPostAnswer> HttpPost::finished(Result<HttpPostAnswer> answer) {
  stream_.close();
  if (!answer) return wrap(answer.error(), address_.authority);
  return answer;
}

void HttpPost::cancel() {
  cancelled_ = true;
  lookup_.cancel();
  stream_.close();
}

asio::awaitable<Result<void>> HttpPost::connect() {
  const auto endpoints = co_await lookup_.run(address_.host, address_.port, deadlines_.lookup);
  if (!endpoints) co_return endpoints.error();
  if (cancelled_) co_return Error{"given up"};
  stream_.expires_after(deadlines_.connect);
  const auto [ec, endpoint] = co_await stream_.async_connect(*endpoints, use_tuple);
  if (ec) co_return Error{"no connection: " + why(ec, deadlines_.connect)};
  co_return Result<void>();
}

asio::awaitable<Result<HttpPostAnswer>> HttpPost::exchange_by_tls(std::string target,
                                                                  std::string body,
                                                                  std::string token) {
  TlsStream stream(stream_, *tls_);
  if (!expect_host(stream.native_handle(), address_.host))
    co_return Error{"its name cannot be asked for"};
  stream_.expires_after(deadlines_.handshake);
  const auto [ec] = co_await stream.async_handshake(TlsStream::client, use_tuple);
  if (ec)
    co_return Error{"no TLS: " + why_not_trusted(stream.native_handle(), ec, deadlines_.handshake)};
  if (cancelled_) co_return Error{"given up"};
  co_return co_await exchange(stream, std::move(target), std::move(body), std::move(token));
}

template <typename Stream>
asio::awaitable<Result<HttpPostAnswer>> HttpPost::exchange(Stream& stream, std::string target,
                                                           std::string body, std::string token) {
  http::request<http::string_body> request(http::verb::post, target, 11);
  request.set(http::field::host, address_.authority);
  request.set(http::field::user_agent, "qemond/" + std::string(version));
  request.set(http::field::accept, "application/json");
  request.set(http::field::content_type, "application/json");
  if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
  request.keep_alive(false);
  request.body() = std::move(body);
  request.prepare_payload();
  beast::error_code ec;
  stream_.expires_after(deadlines_.write);
  std::tie(ec, std::ignore) = co_await http::async_write(stream, request, use_tuple);
  if (ec) co_return Error{"the request was not taken: " + why(ec, deadlines_.write)};
  if (cancelled_) co_return Error{"given up"};

  http::response_parser<http::string_body> parser;
  parser.header_limit(header_bytes_max);
  parser.body_limit(body_bytes_max);
  beast::flat_buffer buffer(header_bytes_max + body_bytes_max);
  stream_.expires_after(deadlines_.read);
  std::tie(ec, std::ignore) = co_await http::async_read(stream, buffer, parser, use_tuple);
  // The status is known, and what such an answer says is of no use to anybody.
  const bool too_long = ec == http::error::body_limit;
  if (ec && !too_long) co_return Error{"no answer: " + why(ec, deadlines_.read)};
  auto& message = parser.get();
  if (too_long) message.body().clear();
  HttpPostAnswer answer;
  answer.status = message.result_int();
  answer.retry_after = std::string(message[http::field::retry_after]);
  answer.location = std::string(message[http::field::location]);
  answer.body = std::move(message.body());
  co_return answer;
}

}  // namespace qemon::daemon
