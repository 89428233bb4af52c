#include "daemon/event_cost.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace qemon::daemon {
namespace {

// A difference of less than this many standard errors is noise. With five windows each, chance
// alone gets there once in a hundred times.
constexpr double significant = 3;
// Of fewer, what chance adds to the processor time would be much for each.
constexpr std::uint64_t records_min = 100;

struct Mean {
  double value = 0;
  double squared_error = 0;  // Of the mean.
};

Mean mean_of(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  Mean mean;
  for (const double value : values) mean.value += value / count;
  for (const double value : values)
    mean.squared_error += std::pow(value - mean.value, 2) / (count * (count - 1));
  return mean;
}

std::optional<double> difference(const std::vector<double>& on, const std::vector<double>& off) {
  if (on.size() < 2 || off.size() < 2) return std::nullopt;
  const auto with = mean_of(on);
  const auto without = mean_of(off);
  const double more = with.value - without.value;
  const double error = std::sqrt(with.squared_error + without.squared_error);
  if (more <= 0 || more < significant * error) return std::nullopt;
  return more;
}

}  // namespace

void compare_windows(std::span<const CostWindow> windows, EventCost& cost) {
  const bool switched =
      std::any_of(windows.begin(), windows.end(), [](const auto& each) { return each.on; });
  CostWindow with;
  CostWindow without;
  std::vector<double> cpu_on;
  std::vector<double> cpu_off;
  for (const auto& window : windows) {
    auto& sum = window.on || !switched ? with : without;
    sum.seconds += window.seconds;
    sum.records += window.records;
    sum.bytes += window.bytes;
    sum.dropped += window.dropped;
    if (window.cpu_seconds && window.seconds > 0)
      (window.on ? cpu_on : cpu_off).push_back(*window.cpu_seconds / window.seconds);
  }
  const auto per_second = [](std::uint64_t amount, double seconds) {
    return seconds > 0 ? static_cast<double>(amount) / seconds : 0;
  };
  cost.records_per_second = per_second(with.records, with.seconds);
  cost.dropped = with.dropped;
  if (!switched) return;
  cost.bytes_per_second = std::max(
      0.0, per_second(with.bytes, with.seconds) - per_second(without.bytes, without.seconds));
  cost.cpu_cores = difference(cpu_on, cpu_off);
  const auto worked_on = with.records + with.dropped;
  if (cost.cpu_cores && worked_on >= records_min)
    cost.cpu_seconds_per_record = *cost.cpu_cores / per_second(worked_on, with.seconds);
}

std::optional<double> process_cpu_seconds(pid_t pid) {
  // Unlike the files in /proc this is not a tick or a schedule behind.
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0)
    return std::nullopt;
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

}  // namespace qemon::daemon
