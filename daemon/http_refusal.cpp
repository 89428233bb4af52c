#include "daemon/http_refusal.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <string>

namespace qemon::daemon {

namespace beast = boost::beast;
namespace http = boost::beast::http;

std::optional<HttpResponse> refuse_unreadable(const beast::error_code& error, bool knows_target,
                                              std::string_view unread, const HttpLimits& limits) {
  const auto longer = [](const char* what, std::uint64_t bytes_max) {
    return std::string(what) + " is longer than " + std::to_string(bytes_max) + " bytes";
  };
  if (error == http::error::header_limit && !knows_target)
    return text_response(414, longer("the request line", limits.header_bytes_max));
  if (error == http::error::header_limit)
    return text_response(431, longer("the header", limits.header_bytes_max));
  if (error == http::error::buffer_overflow)
    return text_response(431, "the request has more around its body than fits into memory for it");
  if (error == http::error::body_limit)
    return text_response(413, longer("the body", limits.body_bytes_max));
  if (error == http::error::end_of_stream || error == http::error::partial_message)
    return std::nullopt;
  if (error.category() != http::make_error_code(http::error::bad_method).category())
    return std::nullopt;  // The connection broke.
  if (const auto end = unread.find('\n'); end > 0 && end < unread.size() && unread[end - 1] != '\r')
    return text_response(400, "not an HTTP request: its lines end in LF alone instead of CR LF");
  if (error == http::error::bad_version)
    return text_response(505, "HTTP/1.0 and HTTP/1.1 are spoken here, and no other version");
  if (unread.starts_with("\x16\x03"))
    return text_response(400, "TLS is not spoken here: use http:// instead of https://");
  return text_response(400, "not an HTTP request: " + error.message());
}

HttpResponse refuse_slow(const HttpLimits& limits) {
  return text_response(
      408, "the request was not whole after " + std::to_string(limits.read_max.count()) + " ms");
}

std::optional<HttpResponse> refuse_header(const http::request_header<>& header) {
  const bool is_http_11 = header.version() == 11;
  const auto hosts = header.count(http::field::host);
  if (hosts > 1 || (is_http_11 && hosts == 0))
    return text_response(400, "a request has one Host field, and this one has " +
                                  (hosts == 0 ? std::string("none") : std::to_string(hosts)));
  const auto encodings = header.count(http::field::transfer_encoding);
  if (encodings > 0 && (!is_http_11 || encodings > 1 ||
                        !beast::iequals(header[http::field::transfer_encoding], "chunked")))
    return text_response(501, "Transfer-Encoding: only chunked is understood, in HTTP/1.1");
  const auto expects = header.count(http::field::expect);
  if (expects > 0 && is_http_11 && !beast::iequals(header[http::field::expect], "100-continue"))
    return text_response(417, "Expect: only 100-continue is understood");
  return std::nullopt;
}

}  // namespace qemon::daemon
