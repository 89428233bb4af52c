// ScrapePages: /metrics as it is sent, plain or compressed.
#pragma once

#include <array>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <memory>
#include <string>

#include "daemon/content_coding.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

/// Makes one page at a time, in short turns, so that neither a big one nor many who ask for it hold
/// up the VMs. Whoever asks while one is being made gets the next one, together with all others who
/// wait for it: a hundred clients at once cost two pages. A page is made whole before it is sent:
/// its figures are of one moment, however slowly it is read, and no reader keeps a VM that is gone.
class ScrapePages {
 public:
  using Page = std::shared_ptr<const std::string>;  // Of all who asked for it.

  /// `page` must outlive it.
  ScrapePages(boost::asio::any_io_executor executor, const exporters::MetricsPage& page);

  /// A page that was begun after it was asked for. Who makes it hears why it failed; the others
  /// get nullptr then.
  [[nodiscard]] boost::asio::awaitable<Page> get(ContentCoding coding);

 private:
  struct Order;
  [[nodiscard]] boost::asio::awaitable<std::string> make(ContentCoding coding,
                                                         std::size_t bytes_before);

  boost::asio::any_io_executor executor_;
  const exporters::MetricsPage& page_;
  // By coding. What is not begun yet: of this and of those who wait for it.
  std::array<std::shared_ptr<Order>, 2> next_;
  std::array<std::size_t, 2> bytes_before_{};  // Of the last page.
  bool making_ = false;
  boost::asio::steady_timer free_;  // Cancelled when none is being made any more.
};

}  // namespace qemon::daemon
