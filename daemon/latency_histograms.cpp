#include "daemon/latency_histograms.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "daemon/collect_block.hpp"
#include "daemon/collect_support.hpp"

namespace qemon::daemon {

using nlohmann::json;

namespace {

struct Operation {
  std::string_view label;
  std::string key;  ///< As QEMU abbreviates it.
};
// QEMU keeps no histogram of discards.
const std::array<Operation, 4>& operations() {
  static const std::array<Operation, 4> all{
      {{"read", "rd"}, {"write", "wr"}, {"flush", "flush"}, {"zone_append", "zone_append"}}};
  return all;
}

std::optional<std::vector<std::uint64_t>> counts_in(const json& object, std::string_view key) {
  const json* const list = member(object, key);
  if (list == nullptr || !list->is_array()) return std::nullopt;
  std::vector<std::uint64_t> counts;
  for (const json& entry : entries_of(*list)) {
    const auto count = count_of(entry);
    if (!count) return std::nullopt;
    counts.push_back(*count);
  }
  return counts;
}

/// Bins of a histogram with our boundaries.
std::optional<std::vector<std::uint64_t>> our_bins(const json& stats, const Operation& operation) {
  const json* const histogram = member(stats, operation.key + "_latency_histogram");
  if (histogram == nullptr || counts_in(*histogram, "boundaries") != latency_boundaries())
    return std::nullopt;
  auto bins = counts_in(*histogram, "bins");
  if (!bins || bins->size() != latency_boundaries().size() + 1) return std::nullopt;
  return bins;
}

/// Whether any operation has a histogram, and whether one of them has other boundaries.
struct Presence {
  bool any = false;
  bool foreign = false;
};
Presence histograms_in(const json& stats) {
  Presence presence;
  for (const Operation& operation : operations()) {
    if (member(stats, operation.key + "_latency_histogram") == nullptr) continue;
    presence.any = true;
    presence.foreign = presence.foreign || !our_bins(stats, operation);
  }
  return presence;
}

bool any_shrank(const std::vector<std::uint64_t>& before, const std::vector<std::uint64_t>& now) {
  for (std::size_t i = 0; i < before.size() && i < now.size(); ++i) {
    if (now[i] < before[i]) return true;
  }
  return false;
}

const std::vector<double>& upper_bounds() {
  static const std::vector<double> bounds = [] {
    std::vector<double> seconds;
    for (const auto boundary : latency_boundaries()) {
      seconds.push_back(static_cast<double>(boundary - 1) / 1e9);
    }
    return seconds;
  }();
  return bounds;
}

}  // namespace

const std::vector<std::uint64_t>& latency_boundaries() {
  static const std::vector<std::uint64_t> boundaries = [] {
    std::vector<std::uint64_t> all;
    constexpr std::uint64_t last = 5'000'000'000;
    for (std::uint64_t decade = 10'000; decade <= last; decade *= 10) {
      for (const std::uint64_t step : {1U, 2U, 5U}) {
        if (decade * step <= last) all.push_back(decade * step + 1);
      }
    }
    return all;
  }();
  return boundaries;
}

std::vector<LatencyHistograms::Device> LatencyHistograms::to_be_set(const json& blockstats) const {
  std::vector<Device> devices;
  for_each_backend(blockstats, [&](const json& backend, const std::string& name) {
    const json* const stats = member(backend, "stats");
    // Whole, since QEMU is to find the device by it; behind bridges its path may be long.
    const std::string qdev = text_in(backend, "qdev", 4000);
    if (stats == nullptr || qdev.empty()) return;
    const Presence presence = histograms_in(*stats);
    if (presence.foreign || (presence.any && devices_.contains(name))) return;
    devices.push_back(Device{name, qdev});
  });
  return devices;
}

void LatencyHistograms::was_set(const std::string& name, const json& before) {
  SeenDevice& device = devices_[name];
  device = {};
  for_each_backend(before, [&](const json& backend, const std::string& device_name) {
    const json* const stats = member(backend, "stats");
    if (stats == nullptr || device_name != name) return;
    for (std::size_t i = 0; i < operations_count; ++i) {
      const std::string& key = operations()[i].key;
      device[i].total_ns = count_in(*stats, key + "_total_time_ns").value_or(0);
      device[i].operations = count_in(*stats, key + "_operations").value_or(0) +
                             count_in(*stats, "failed_" + key + "_operations").value_or(0);
    }
  });
}

/// The bins were zero at some time between `seen` and `now`. Of the operations in between those in
/// the bins came after it.
void LatencyHistograms::begin_anew(Seen& seen, const Seen& now) {
  const auto total = static_cast<double>(now.total_ns);
  const auto binned =
      static_cast<double>(std::accumulate(now.bins.begin(), now.bins.end(), std::uint64_t{0}));
  const double operations_since =
      static_cast<double>(now.operations) - static_cast<double>(seen.operations);
  const double time_since = std::max(0.0, total - static_cast<double>(seen.total_ns));
  const double share = operations_since > 0 ? std::min(1.0, binned / operations_since) : 0;
  seen.baseline_ns = total - time_since * share;
}

Figures LatencyHistograms::figures(const json& blockstats) {
  auto family = exporters::histogram_family(
      "qemu_blockdev_latency_seconds",
      "Time from an operation's arrival at the block backend to its completion.");
  for_each_backend(blockstats, [&](const json& backend, const std::string& name) {
    const json* const stats = member(backend, "stats");
    const auto device = devices_.find(name);
    if (stats == nullptr || device == devices_.end()) return;
    for (std::size_t i = 0; i < operations_count; ++i) {
      const Operation& operation = operations()[i];
      auto bins = our_bins(*stats, operation);
      const auto total = count_in(*stats, operation.key + "_total_time_ns");
      const auto done = count_in(*stats, operation.key + "_operations");
      const auto failed = count_in(*stats, "failed_" + operation.key + "_operations");
      if (!bins || !total || !done || !failed) continue;
      Seen now;
      now.total_ns = *total;
      now.operations = *done + *failed;
      now.bins = std::move(*bins);
      Seen& seen = device->second[i];
      if (seen.bins.empty() || any_shrank(seen.bins, now.bins)) begin_anew(seen, now);
      now.baseline_ns = seen.baseline_ns;
      seen = std::move(now);
      const double sum_ns = static_cast<double>(seen.total_ns) - seen.baseline_ns;
      add_histogram(family, {{"device", name}, {"operation", operation.label}}, upper_bounds(),
                    seen.bins, std::max(0.0, sum_ns) / 1e9);
    }
  });
  Figures figures;
  add_family(figures, std::move(family));
  return figures;
}

}  // namespace qemon::daemon
