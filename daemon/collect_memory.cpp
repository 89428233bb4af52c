#include "daemon/collect_memory.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using exporters::gauge_family;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

HostClocks host_clocks(bool same_host) {
  HostClocks clocks;
  if (same_host) {
    clocks.monotonic =
        std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  clocks.wall =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return clocks;
}

/// Asks where the command exists; null where not.
asio::awaitable<Result<json>> ask_if_known(CollectorView view, std::string command) {
  Result<json> answer;
  if (view.commands.contains(command)) answer = co_await ask(view, std::move(command), json());
  co_return std::move(answer);
}

asio::awaitable<Result<Figures>> poll_memory(CollectorView view) {
  const auto size = co_await ask_if_known(view, "query-memory-size-summary");
  if (!size) co_return size.error();
  const auto balloon = co_await ask_if_known(view, "query-balloon");
  if (!balloon) co_return balloon.error();
  const auto dirty_rate = co_await ask_if_known(view, "query-dirty-rate");
  if (!dirty_rate) co_return dirty_rate.error();
  const HostClocks now = host_clocks(view.process.has_value());
  co_return memory_figures(*size, *balloon, *dirty_rate, now);
}

/// Seconds since the measurement ended.
std::optional<double> age_of(const json& dirty_rate, const HostClocks& now) {
  const auto start = count_in(dirty_rate, "start-time");
  const auto length = count_in(dirty_rate, "calc-time");
  if (!start || !length) return std::nullopt;
  const bool milliseconds = text_in(dirty_rate, "calc-time-unit") == "millisecond";
  // 7.2 tells the start in seconds since the host's boot and 10.0 since the epoch (measured). No
  // host has been up for 30 years.
  constexpr std::uint64_t beginning_of_epoch = 1'000'000'000;
  const auto clock = *start < beginning_of_epoch ? now.monotonic : now.wall;
  if (!clock) return std::nullopt;
  const double age = *clock - static_cast<double>(*start) -
                     static_cast<double>(*length) / (milliseconds ? 1000 : 1);
  // The start is cut to whole seconds, so the age is right to a second.
  return age > -1 ? std::optional(age > 0 ? age : 0) : std::nullopt;
}

}  // namespace

Figures memory_figures(const json& size, const json& balloon, const json& dirty_rate,
                       const HostClocks& now) {
  auto base = gauge_family("qemu_memory_base_bytes", "Memory that the VM was started with.");
  add_known(base, {}, count_in(size, "base-memory"));
  auto plugged = gauge_family("qemu_memory_plugged_bytes", "Memory that was plugged in since.");
  add_known(plugged, {}, count_in(size, "plugged-memory"));
  auto actual =
      gauge_family("qemu_balloon_actual_bytes", "Memory that the balloon leaves to the guest.");
  add_known(actual, {}, count_in(balloon, "actual"));

  auto rate = gauge_family(
      "qemu_dirty_rate_bytes_per_second",
      "How fast the guest wrote to its memory when that was last measured (calc-dirty-rate).");
  auto age = gauge_family("qemu_dirty_rate_age_seconds", "Time since that measurement.");
  if (text_in(dirty_rate, "status") == "measured") {
    // QEMU's "MB/s" are of 2^20 bytes.
    constexpr double megabyte = 1024.0 * 1024;
    if (const auto megabytes = count_in(dirty_rate, "dirty-rate")) {
      exporters::add_sample(rate, {}, static_cast<double>(*megabytes) * megabyte);
      add_known(age, {}, age_of(dirty_rate, now));
    }
  }
  Figures figures;
  for (auto* family : {&base, &plugged, &actual, &rate, &age}) {
    add_family(figures, std::move(*family));
  }
  return figures;
}

Collector memory_collector() {
  Collector collector;
  collector.name = "memory";
  collector.interval = 10s;
  collector.poll = poll_memory;
  return collector;
}

}  // namespace qemon::daemon
