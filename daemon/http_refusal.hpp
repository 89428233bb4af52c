// Why HttpSession refuses a request without asking a handler.
#pragma once

#include <boost/beast/core/error.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <optional>
#include <string_view>

#include "daemon/http_message.hpp"
#include "daemon/http_server.hpp"

namespace qemon::daemon {

/// For a request that could not be read. Nothing if the connection is gone and there is no one to
/// tell. `knows_target`: whether the request line was read; `unread`: what was not understood yet.
[[nodiscard]] std::optional<HttpResponse> refuse_unreadable(const boost::beast::error_code& error,
                                                            bool knows_target,
                                                            std::string_view unread,
                                                            const HttpLimits& limits);
[[nodiscard]] HttpResponse refuse_slow(const HttpLimits& limits);

/// For a header that could be read, but leaves open where its request goes or where it ends: a
/// proxy in between might understand it otherwise. Nothing if it is right.
[[nodiscard]] std::optional<HttpResponse> refuse_header(
    const boost::beast::http::request_header<>& header);

}  // namespace qemon::daemon
