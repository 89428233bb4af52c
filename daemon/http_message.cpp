#include "daemon/http_message.hpp"

#include <algorithm>
#include <charconv>

namespace qemon::daemon {

namespace {

/// Calls `take` with each part of `text` between separators.
template <typename Take>
void split(std::string_view text, char separator, Take take) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    take(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

const std::string* HttpRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return &value;
  return nullptr;
}

HttpResponse text_response(unsigned status, std::string_view line) {
  HttpResponse response;
  response.status = status;
  response.body = std::string(line) + "\n";
  return response;
}

Result<HttpRequest> parse_target(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    target.remove_prefix(std::min(target.find('/'), target.size()));
    if (target.empty()) target = "/";
  }
  if (!target.starts_with('/')) return Error{"the target of the request is not a path"};

  HttpRequest request;
  std::optional<Error> problem;
  const auto decode = [&](std::string_view text, bool plus_is_blank) {
    Result<std::string> decoded = percent_decode(text, plus_is_blank);
    if (decoded) return std::move(*decoded);
    problem = decoded.error();
    return std::string();
  };
  const std::size_t query_at = std::min(target.find('?'), target.size());
  request.path = decode(target.substr(0, query_at), false);
  split(target.substr(1, query_at - 1), '/',
        [&](std::string_view part) { request.segments.push_back(decode(part, false)); });
  split(target.substr(std::min(query_at + 1, target.size())), '&', [&](std::string_view part) {
    const std::size_t equals = std::min(part.find('='), part.size());
    std::string key = decode(part.substr(0, equals), true);
    std::string value = decode(part.substr(std::min(equals + 1, part.size())), true);
    request.query.emplace_back(std::move(key), std::move(value));
  });
  if (problem) return *problem;
  return request;
}

Result<std::string> percent_decode(std::string_view text, bool plus_is_blank) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_blank) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      unsigned value = 0;
      const std::string_view digits = text.substr(i + 1, 2);
      const auto [end, code] =
          std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
      if (digits.size() != 2 || code != std::errc() || end != digits.data() + 2)
        return Error{"the target of the request has a % without two hexadecimal digits"};
      if (value == 0) return Error{"the target of the request has a NUL byte"};
      decoded += static_cast<char>(value);
      i += 2;
    }
  }
  return {boost::system::in_place_value, std::move(decoded)};
}

}  // namespace qemon::daemon
