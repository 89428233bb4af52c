#include "daemon/service_manager.hpp"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <utility>

namespace qemon::daemon {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds status_interval{1};
// Twice in a period is what systemd asks for; with four, one late turn of the loop does no harm.
constexpr int pings_per_period = 4;

/// "950", "4.1k", "41k", "1.2M": what is worth reading of a rate.
std::string rate_text(double rate) {
  static constexpr std::array units{"", "k", "M", "G"};
  std::size_t unit = 0;
  for (; rate >= 999.5 && unit + 1 < units.size(); ++unit) rate /= 1000;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit > 0 && rate < 9.95 ? "%.1f%s" : "%.0f%s", rate,
                units[unit]);
  return text.data();
}

/// The clock by which systemd tells a reload that it asked for from an earlier one.
std::uint64_t monotonic_microseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

std::string one_status_line(std::string text) {
  // A line end would begin another assignment.
  std::replace(text.begin(), text.end(), '\n', ' ');
  return "STATUS=" + text;
}

}  // namespace

std::string to_text(const ServiceFigures& figures) {
  std::string text = std::to_string(figures.vms) + (figures.vms == 1 ? " VM" : " VMs");
  if (figures.out_of_reach > 0)
    text += " (" + std::to_string(figures.out_of_reach) + " out of reach)";
  return text + ", " + std::to_string(figures.tracing) + " tracing, " +
         rate_text(figures.records_per_second) + " records/s";
}

ServiceManager::ServiceManager(const asio::any_io_executor& executor)
    : listening_(std::getenv("NOTIFY_SOCKET") != nullptr), timer_(executor) {
  std::uint64_t period = 0;
  if (listening_ && ::sd_watchdog_enabled(0, &period) > 0)
    watchdog_ = std::chrono::microseconds(period);
}

void ServiceManager::ready(std::string note) {
  note_ = std::move(note);
  told_.clear();
  tell("READY=1");
}

void ServiceManager::reloading() {
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_microseconds()));
}

void ServiceManager::stopping() {
  tell("STOPPING=1\n" + one_status_line("Putting every VM back as it was found"));
  is_stopping_ = true;
}

asio::awaitable<void> ServiceManager::run(std::function<std::string()> status) {
  if (!listening_) co_return;
  std::chrono::steady_clock::duration interval = status_interval;
  if (watchdog_.count() > 0)
    interval =
        std::min<std::chrono::steady_clock::duration>(interval, watchdog_ / pings_per_period);
  auto next_status = std::chrono::steady_clock::now();
  while (!stopped_) {
    if (watchdog_.count() > 0) tell("WATCHDOG=1");
    const auto now = std::chrono::steady_clock::now();
    // The figures of VMs that are being left would say nothing.
    if (now >= next_status && !is_stopping_) {
      next_status = now + status_interval;
      const auto text = note_ + status();
      if (text != told_) tell(one_status_line(text));
      told_ = text;
    }
    timer_.expires_after(interval);
    const auto [ec] = co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (ec && stopped_) co_return;
  }
}

void ServiceManager::stop() {
  stopped_ = true;
  timer_.cancel();
}

void ServiceManager::tell(const std::string& state) const {
  // A failure changes nothing for us, and whoever listens notices it.
  if (listening_) ::sd_notify(0, state.c_str());
}

}  // namespace qemon::daemon
