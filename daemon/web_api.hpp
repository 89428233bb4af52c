// What qemond serves on TCP: /metrics, the landing page and the health checks. Nothing here changes
// anything.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "daemon/http_message.hpp"
#include "daemon/scrape_pages.hpp"
#include "daemon/vm_metrics.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

/// Owned by the daemon, and outlives the HTTP server.
class WebApi {
 public:
  WebApi(boost::asio::any_io_executor executor, const VmList& vms,
         const exporters::MetricsPage& page)
      : vms_(vms), pages_(std::move(executor), page) {}

  boost::asio::awaitable<HttpResponse> handle(HttpRequest request);

 private:
  boost::asio::awaitable<HttpResponse> metrics(ContentCoding coding);
  [[nodiscard]] HttpResponse landing(ContentCoding coding) const;
  [[nodiscard]] HttpResponse ready() const;

  const VmList& vms_;
  ScrapePages pages_;
};

}  // namespace qemon::daemon
