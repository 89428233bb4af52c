#include "daemon/qmp_event_counters.hpp"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/utf8.hpp"
#include "daemon/collect_support.hpp"

namespace qemon::daemon {

using exporters::add_sample;
using exporters::counter_family;
using nlohmann::json;

namespace {

constexpr std::size_t series_max = 200;

/// A label's value, where older QEMUs do not tell it "unknown".
std::string told(std::string text) {
  return text.empty() ? "unknown" : std::move(text);
}

std::vector<std::string> cause_of(const json& data) {
  const auto guest = flag_in(data, "guest");
  return {told(text_in(data, "reason")), guest ? (*guest ? "true" : "false") : "unknown"};
}

}  // namespace

void QmpEventCounters::count(const qmp::Event& event) {
  add(events_, {told(one_line(event.name))});
  if (event.name == "RESET") {
    add(resets_, cause_of(event.data));
  } else if (event.name == "SHUTDOWN") {
    add(shutdowns_, cause_of(event.data));
  } else if (event.name == "BLOCK_IO_ERROR") {
    const std::string device =
        block_device_name(text_in(event.data, "device"), text_in(event.data, "qom-path"),
                          text_in(event.data, "node-name"));
    add(io_errors_, {told(device), told(text_in(event.data, "operation")),
                     told(text_in(event.data, "action"))});
  }
}

void QmpEventCounters::add(Counts& counts, Labels labels) {
  const auto found = counts.find(labels);
  if (found != counts.end()) {
    ++found->second;
    return;
  }
  // One place is kept for the others.
  if (counts.size() >= series_max - 1) labels.assign(labels.size(), "__other__");
  ++counts[std::move(labels)];
}

Figures QmpEventCounters::figures() const {
  auto events = counter_family(
      "qemu_qmp_events_total",
      "QMP events received, by name. QEMU sends some of them no more than once a second.");
  for (const auto& [labels, count] : events_) add_sample(events, {{"event", labels[0]}}, count);

  auto resets = counter_family("qemu_resets_total", "Resets of the VM (QMP event RESET).");
  for (const auto& [labels, count] : resets_) {
    add_sample(resets, {{"reason", labels[0]}, {"guest", labels[1]}}, count);
  }
  auto shutdowns =
      counter_family("qemu_shutdowns_total", "Shutdowns of the VM (QMP event SHUTDOWN).");
  for (const auto& [labels, count] : shutdowns_) {
    add_sample(shutdowns, {{"reason", labels[0]}, {"guest", labels[1]}}, count);
  }
  auto io_errors = counter_family(
      "qemu_block_io_errors_total",
      "I/O errors of block devices that QEMU told of (QMP event BLOCK_IO_ERROR); from QEMU 9.2 on "
      "no more than one a second and device.");
  for (const auto& [labels, count] : io_errors_) {
    add_sample(io_errors, {{"device", labels[0]}, {"operation", labels[1]}, {"action", labels[2]}},
               count);
  }

  Figures figures;
  for (auto* family : {&events, &resets, &shutdowns, &io_errors}) {
    add_family(figures, std::move(*family));
  }
  return figures;
}

}  // namespace qemon::daemon
