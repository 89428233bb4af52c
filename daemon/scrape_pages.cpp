#include "daemon/scrape_pages.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <string_view>
#include <utility>

namespace qemon::daemon {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

// Longer than nearly every page takes, and short against the 10 ms that a turn may take at most.
constexpr std::chrono::milliseconds turn_max{3};

class Turn {
 public:
  explicit Turn(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  [[nodiscard]] bool is_over() const { return Clock::now() - began_ >= turn_max; }
  /// Lets everybody else have theirs.
  [[nodiscard]] asio::awaitable<void> next() {
    co_await asio::post(executor_, asio::use_awaitable);
    began_ = Clock::now();
  }

 private:
  asio::any_io_executor executor_;
  Clock::time_point began_ = Clock::now();
};

}  // namespace

struct ScrapePages::Order {
  explicit Order(const asio::any_io_executor& executor)
      : done_changed(executor, Clock::time_point::max()) {}

  bool done = false;
  Page page;
  asio::steady_timer done_changed;
};

ScrapePages::ScrapePages(asio::any_io_executor executor, const exporters::MetricsPage& page)
    : executor_(std::move(executor)), page_(page), free_(executor_, Clock::time_point::max()) {}

asio::awaitable<ScrapePages::Page> ScrapePages::get(ContentCoding coding) {
  const auto index = static_cast<std::size_t>(coding);
  if (const std::shared_ptr<Order> order = next_[index]) {
    while (!order->done) co_await order->done_changed.async_wait(use_tuple);
    co_return order->page;
  }
  const auto order = std::make_shared<Order>(executor_);
  next_[index] = order;
  while (making_) co_await free_.async_wait(use_tuple);
  next_[index].reset();
  making_ = true;
  std::exception_ptr failure;
  try {
    std::string text = co_await make(coding, bytes_before_[index]);
    bytes_before_[index] = text.size();
    order->page = std::make_shared<const std::string>(std::move(text));
  } catch (...) {
    failure = std::current_exception();  // Others wait.
  }
  making_ = false;
  free_.cancel();
  order->done = true;
  order->done_changed.cancel();
  if (failure) std::rethrow_exception(failure);
  co_return order->page;
}

asio::awaitable<std::string> ScrapePages::make(ContentCoding coding, std::size_t bytes_before) {
  std::string page;
  // Growing by doubling would take three times the page's size for a moment.
  page.reserve(bytes_before + bytes_before / 16);
  const bool compressed = coding == ContentCoding::gzip;
  std::unique_ptr<GzipWriter> gzip;
  if (compressed) gzip = std::make_unique<GzipWriter>();
  std::string text;  // What is still to be compressed.
  Turn turn(executor_);
  auto writers = page_.writers();
  for (auto& writer : writers) {
    for (bool more = true; more;) {
      more = writer(compressed ? text : page);
      for (std::size_t at = 0; at < text.size(); at += GzipWriter::piece_bytes) {
        gzip->add(std::string_view(text).substr(at, GzipWriter::piece_bytes), page);
        if (turn.is_over()) co_await turn.next();
      }
      text.clear();
      if (turn.is_over()) co_await turn.next();
    }
  }
  if (compressed) gzip->finish(page);
  co_return page;
}

}  // namespace qemon::daemon
