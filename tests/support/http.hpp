// A blocking HTTP client for tests, over TCP and over a Unix socket, and the parsed text of
// /metrics.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace qemon::test {

struct HttpResponse {
  int status = 0;
  std::string content_type;
  std::string body;
};

/// One request on a connection of its own. `address` is `HOST:PORT` (numeric) or the path of a Unix
/// socket. Throws std::runtime_error when nobody listens there, when the answer is not HTTP, or
/// when it is not complete at the deadline.
HttpResponse http_request(const std::string& address, std::string_view method,
                          std::string_view target, std::string_view body = {});
inline HttpResponse http_get(const std::string& address, std::string_view target) {
  return http_request(address, "GET", target);
}

/// A TCP port of 127.0.0.1 that is free now; for programs that cannot be asked for the port they
/// took, and cannot take a socket.
std::uint16_t free_port();

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

/// The name of one series as Metrics knows it: `name{a="1",b="2"}` with its labels in alphabetical
/// order.
std::string series(std::string_view name, Labels labels = {});

/// The samples in the Prometheus text format. Throws std::runtime_error at the first line that is
/// none.
class Metrics {
 public:
  explicit Metrics(std::string text);

  /// The value, or nothing if the series does not exist.
  [[nodiscard]] std::optional<double> get(const std::string& name) const;

  /// How many series of the family `name` exist.
  [[nodiscard]] std::size_t count(std::string_view name) const;

  [[nodiscard]] const std::map<std::string, double>& samples() const { return samples_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::map<std::string, double> samples_;
};

}  // namespace qemon::test
