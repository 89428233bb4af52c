// FakeGrafana: an HTTP server that answers POST /api/annotations as Grafana does, or fails as told.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"
#include "tests/support/reserved_port.hpp"

struct ssl_ctx_st;  // NOLINT(readability-identifier-naming): OpenSSL's name.

namespace qemon::test {

/// What one request is answered with instead of what Grafana would say.
struct GrafanaAnswer {
  enum class How : std::uint8_t {
    whole,    ///< At once.
    hang,     ///< Nothing, and the connection stays open.
    cut,      ///< Half of it, and then the connection is closed.
    trickle,  ///< A byte every 10 ms.
  };
  std::string text;  ///< All of it, from its status line on; empty: the connection is closed.
  How how = How::whole;
};
/// With a body of JSON and this further header, for instance "Retry-After: 1".
[[nodiscard]] GrafanaAnswer grafana_says(unsigned status, const std::string& body,
                                         const std::string& header = {});

/// Serves on threads of its own. Everything may be called at any time.
class FakeGrafana {
 public:
  struct Request {
    std::string head;           ///< Request line and headers.
    std::string authorization;  ///< "Bearer TOKEN"; empty if there was none.
    std::string body;
    std::chrono::steady_clock::time_point time;
  };

  /// With TLS, `certificate` is a file of certificate and key.
  explicit FakeGrafana(ReservedPort port = {}, const std::string& certificate = {});
  FakeGrafana(const FakeGrafana&) = delete;
  FakeGrafana& operator=(const FakeGrafana&) = delete;
  ~FakeGrafana();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// "http://127.0.0.1:PORT", or of another name of this host.
  [[nodiscard]] std::string url(std::string_view host = "127.0.0.1") const;

  /// The only token that is valid; without it, every request is.
  void set_token(const std::string& token);
  /// For the next request that has no other answer yet.
  void answer_next(GrafanaAnswer answer);
  /// For all requests that have no other answer, until it is told otherwise.
  void answer_always(std::optional<GrafanaAnswer> answer);

  [[nodiscard]] std::vector<Request> requests() const;
  /// How many clients went away while TLS was being agreed on.
  [[nodiscard]] unsigned refused_handshakes() const { return refused_handshakes_; }
  /// The annotations that it has taken, in this order.
  [[nodiscard]] std::vector<nlohmann::json> annotations() const;

 private:
  struct Connection;

  void serve();
  void serve_one(int fd);
  GrafanaAnswer take(Request request);
  GrafanaAnswer as_grafana(const Request& request);
  bool wait_readable(int fd) const;

  std::uint16_t port_ = 0;
  UniqueFd listener_;
  UniqueFd stop_;  // Readable when it is to end.
  std::shared_ptr<ssl_ctx_st> tls_;
  std::atomic<unsigned> refused_handshakes_ = 0;
  mutable std::mutex mutex_;
  std::string token_;
  std::deque<GrafanaAnswer> next_;
  std::optional<GrafanaAnswer> always_;
  std::vector<Request> requests_;
  std::vector<nlohmann::json> annotations_;
  std::vector<std::thread> connections_;  // Of the accepting thread only.
  std::thread thread_;
};

/// Makes a certificate for these hosts that has signed itself, with its key, in one file of PEM
/// form.
void make_certificate(const std::string& path,
                      const std::string& hosts = "DNS:localhost,IP:127.0.0.1");

}  // namespace qemon::test
