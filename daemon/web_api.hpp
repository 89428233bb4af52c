// What qemond serves on TCP: /metrics, the landing page and the health checks. Nothing here changes
// anything.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>

#include "daemon/http_message.hpp"
#include "daemon/vm_metrics.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

/// Owned by the daemon, and outlives the HTTP server.
class WebApi {
 public:
  WebApi(const VmList& vms, const exporters::MetricsPage& page) : vms_(vms), page_(page) {}

  boost::asio::awaitable<HttpResponse> handle(HttpRequest request);

 private:
  boost::asio::awaitable<HttpResponse> metrics();
  [[nodiscard]] HttpResponse landing() const;
  [[nodiscard]] HttpResponse ready() const;

  const VmList& vms_;
  const exporters::MetricsPage& page_;
  std::size_t page_bytes_ = 0;  // Of the last /metrics.
};

}  // namespace qemon::daemon
