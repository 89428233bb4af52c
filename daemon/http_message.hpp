// What an HTTP handler is given and what it answers.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "daemon/peer.hpp"

namespace qemon::daemon {

struct HttpRequest {
  /// "GET", "POST", ... A HEAD request arrives as GET; the server leaves the body out of the
  /// answer.
  std::string method;
  std::string path;  ///< Decoded, for instance "/v1/vms/web 1/release". Begins with a slash.
  std::vector<std::string>
      segments;  ///< The path's parts, split before decoding: {"v1", "vms", "web 1", "release"}.
  std::vector<std::pair<std::string, std::string>>
      query;                    ///< Decoded, in the order of the request.
  std::string content_type;     ///< As sent; empty if there is none.
  std::string accept_encoding;  ///< Several lines of it are joined by commas.
  std::string body;
  std::optional<PeerCredentials> peer;  ///< On Unix sockets only.

  /// The first query parameter of that name; nullptr if there is none.
  [[nodiscard]] const std::string* parameter(std::string_view name) const;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  /// Sent instead of `body` if it is set: of all responses that have the same one.
  std::shared_ptr<const std::string> shared_body;
  std::vector<std::pair<std::string, std::string>>
      headers;  ///< Further ones, for instance {"Allow", "GET, HEAD"}.
};

/// Answers one request. It may await, but must end by itself within a bounded time: the server
/// waits for it when it stops, and does not cancel it. What it throws becomes a 500.
using HttpHandler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest)>;

/// A response of one line of text.
[[nodiscard]] HttpResponse text_response(unsigned status, std::string_view line);

/// Fills in path, segments and query from the target of a request line: "/a%20b?x=1", or
/// "http://host/a" as proxies send.
[[nodiscard]] Result<HttpRequest> parse_target(std::string_view target);

/// %XX and, in a query, + decoded. An Error for a broken escape or a NUL byte.
[[nodiscard]] Result<std::string> percent_decode(std::string_view text, bool plus_is_blank);

}  // namespace qemon::daemon
