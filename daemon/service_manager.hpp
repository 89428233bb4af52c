// ServiceManager: tells systemd, or whoever else gave us $NOTIFY_SOCKET, how qemond is doing.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace qemon::daemon {

/// What the status line is made of.
struct ServiceFigures {
  std::size_t vms = 0;
  std::size_t out_of_reach = 0;
  std::size_t tracing = 0;
  double records_per_second = 0;
};

/// For instance "3 VMs, 2 tracing, 41k records/s".
[[nodiscard]] std::string to_text(const ServiceFigures& figures);

/// Does nothing, at no cost, when nobody listens. Owned by the daemon, which outlives `run`. One
/// thread: the watchdog is fed by the event loop, so that a loop that is stuck starves it.
class ServiceManager {
 public:
  explicit ServiceManager(const boost::asio::any_io_executor& executor);

  /// We serve, for the first time or again after a reload. `note` stands before the status line
  /// until the next call.
  void ready(std::string note = {});
  void reloading();
  void stopping();

  /// Feeds the watchdog, and tells what `status` says once a second when it has changed. Until
  /// stop().
  boost::asio::awaitable<void> run(std::function<std::string()> status);
  void stop();

 private:
  void tell(const std::string& state) const;

  bool listening_ = false;
  std::chrono::microseconds watchdog_{0};  // 0: there is none.
  bool is_stopping_ = false;
  bool stopped_ = false;
  std::string note_;
  std::string told_;
  boost::asio::steady_timer timer_;
};

}  // namespace qemon::daemon
