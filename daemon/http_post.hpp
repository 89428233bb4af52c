// HttpPost: one POST request to a server elsewhere, with a deadline for each step.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <string>

#include "base/result.hpp"
#include "daemon/grafana_settings.hpp"
#include "daemon/name_lookup.hpp"

namespace boost::asio::ssl {  // NOLINT(readability-identifier-naming): the library calls it so.
class context;
}  // namespace boost::asio::ssl

namespace qemon::daemon {

struct HttpPostDeadlines {
  std::chrono::milliseconds lookup{5'000};
  std::chrono::milliseconds connect{5'000};
  std::chrono::milliseconds handshake{5'000};
  std::chrono::milliseconds write{5'000};
  std::chrono::milliseconds read{10'000};  ///< The whole answer, from its first byte to its last.
};

struct HttpPostAnswer {
  unsigned status = 0;
  std::string body;
  std::string retry_after;  ///< The headers of these names; empty if there are none.
  std::string location;
};

/// On a connection of its own. Kept alive by its owner until run() has returned.
class HttpPost {
 public:
  /// `tls` must be given for an address with TLS, and outlive this.
  HttpPost(boost::asio::any_io_executor executor, GrafanaAddress address,
           HttpPostDeadlines deadlines, boost::asio::ssl::context* tls);

  /// To `path` below the one of the address. An Error if there was no answer that is HTTP.
  boost::asio::awaitable<Result<HttpPostAnswer>> run(std::string path, std::string body,
                                                     std::string token);
  /// Lets run() return soon, with an Error.
  void cancel();

 private:
  boost::asio::awaitable<Result<void>> connect();
  Result<HttpPostAnswer> finished(Result<HttpPostAnswer> answer);
  template <typename Stream>
  boost::asio::awaitable<Result<HttpPostAnswer>> exchange(Stream& stream, std::string target,
                                                          std::string body, std::string token);
  boost::asio::awaitable<Result<HttpPostAnswer>> exchange_by_tls(std::string target,
                                                                 std::string body,
                                                                 std::string token);

  GrafanaAddress address_;
  HttpPostDeadlines deadlines_;
  boost::asio::ssl::context* tls_;
  NameLookup lookup_;
  boost::beast::tcp_stream stream_;
  bool cancelled_ = false;
};

}  // namespace qemon::daemon
