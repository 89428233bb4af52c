#include "daemon/collect_block.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using exporters::add_sample;
using exporters::counter_family;
using exporters::gauge_family;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

struct Operation {
  std::string_view label;
  std::string_view key;  ///< As QEMU abbreviates it.
};
// Zones are of 8.1 and later.
constexpr std::array<Operation, 5> operations{{{"read", "rd"},
                                               {"write", "wr"},
                                               {"flush", "flush"},
                                               {"discard", "unmap"},
                                               {"zone_append", "zone_append"}}};

/// A counter that exists for several operations: its key is prefix, operation and suffix.
struct Counter {
  std::string_view name;
  std::string_view help;
  std::string_view prefix;
  std::string_view suffix;
  double divisor = 1;  ///< What makes base units of it.
};
constexpr std::array<Counter, 6> counters{{
    {"qemu_blockdev_bytes_total", "Bytes of the operations that the guest's device completed.", "",
     "_bytes"},
    {"qemu_blockdev_operations_total", "Operations that completed without an error.", "",
     "_operations"},
    {"qemu_blockdev_merged_total", "Requests that were merged into another one.", "", "_merged"},
    {"qemu_blockdev_failed_total", "Operations that failed.", "failed_", "_operations"},
    {"qemu_blockdev_invalid_total", "Operations that were refused before they were begun.",
     "invalid_", "_operations"},
    {"qemu_blockdev_time_seconds_total",
     "Time that operations took, added up over those that ran at the same time.", "",
     "_total_time_ns", 1e9},
}};

asio::awaitable<Result<Figures>> poll_block(CollectorView view) {
  const auto answer = co_await ask(view, "query-blockstats", json());
  if (!answer) co_return answer.error();
  co_return block_figures(*answer);
}

}  // namespace

void for_each_backend(
    const json& blockstats,
    const std::function<void(const json& backend, const std::string& device)>& visit) {
  std::set<std::string> taken;
  for (const json& entry : entries_of(blockstats)) {
    const std::string qdev = text_in(entry, "qdev");
    const std::string node = text_in(entry, "node-name");
    const std::string first_choice = block_device_name(text_in(entry, "device"), qdev, node);
    for (const std::string& name : {first_choice, qdev, node}) {
      if (name.empty() || !taken.insert(name).second) continue;
      visit(entry, name);
      break;
    }
  }
}

Figures block_figures(const json& blockstats) {
  std::array<prometheus::MetricFamily, counters.size()> by_operation;
  for (std::size_t i = 0; i < counters.size(); ++i) {
    by_operation[i] = counter_family(counters[i].name, counters[i].help);
  }
  auto highest = gauge_family("qemu_blockdev_highest_write_offset_bytes",
                              "End of the furthest byte that was written since QEMU started.");
  auto idle = gauge_family("qemu_blockdev_idle_seconds", "Time since the last operation.");

  for_each_backend(blockstats, [&](const json& backend, const std::string& device) {
    const json* const stats = member(backend, "stats");
    if (stats == nullptr) return;
    for (std::size_t i = 0; i < counters.size(); ++i) {
      const Counter& counter = counters[i];
      for (const Operation& operation : operations) {
        std::string key(counter.prefix);
        key += operation.key;
        key += counter.suffix;
        const auto count = count_in(*stats, key);
        if (!count) continue;
        add_sample(by_operation[i], {{"device", device}, {"operation", operation.label}},
                   static_cast<double>(*count) / counter.divisor);
      }
    }
    add_known(highest, {{"device", device}}, count_in(*stats, "wr_highest_offset"));
    if (const auto nanoseconds = count_in(*stats, "idle_time_ns")) {
      add_sample(idle, {{"device", device}}, static_cast<double>(*nanoseconds) / 1e9);
    }
  });

  Figures figures;
  for (auto& family : by_operation) add_family(figures, std::move(family));
  add_family(figures, std::move(highest));
  add_family(figures, std::move(idle));
  return figures;
}

Collector block_collector() {
  Collector collector;
  collector.name = "block";
  collector.interval = 5s;
  collector.needs = {"query-blockstats"};
  collector.poll = poll_block;
  return collector;
}

}  // namespace qemon::daemon
