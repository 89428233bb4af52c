#include "daemon/collect_irq.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

asio::awaitable<Result<Figures>> poll_irq(CollectorView view) {
  const auto text = co_await ask_text(view, "x-query-irq", "info irq");
  if (!text) co_return text.error();
  co_return irq_figures(*text);
}

}  // namespace

Figures irq_figures(std::string_view text) {
  auto events = exporters::counter_family(
      "qemu_irq_statistics_total",
      "Interrupts that a controller emulated by QEMU counted on each of its lines.");
  std::map<std::string, int> instances;
  std::string controller;
  std::set<std::uint64_t> lines_seen;
  while (!text.empty() && events.metric.size() < collected_entries_max) {
    std::string_view line = trimmed(take_line(text));
    constexpr std::string_view header = "IRQ statistics for ";
    if (line.starts_with(header)) {
      // "IRQ statistics for NAME:", or "... not available for NAME." which has no numbers.
      if (!line.ends_with(':')) continue;
      line.remove_suffix(1);
      controller = line.substr(header.size(), 200);
      const int instance = ++instances[controller];
      if (instance > 1) controller += "#" + std::to_string(instance);
      lines_seen.clear();
      continue;
    }
    const auto number = take_count(line);
    if (!number || controller.empty() || !line.starts_with(": ")) continue;
    line.remove_prefix(2);
    const auto count = take_count(line);
    if (!count || !line.empty() || !lines_seen.insert(*number).second) continue;
    exporters::add_sample(events, {{"controller", controller}, {"line", std::to_string(*number)}},
                          *count);
  }
  Figures figures;
  add_family(figures, std::move(events));
  return figures;
}

Collector irq_collector() {
  Collector collector;
  collector.name = "irq";
  collector.interval = 10s;
  collector.poll = poll_irq;
  return collector;
}

}  // namespace qemon::daemon
