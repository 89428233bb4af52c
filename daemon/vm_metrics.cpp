#include "daemon/vm_metrics.hpp"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "daemon/vm.hpp"
#include "exporters/engine_metrics.hpp"

namespace qemon::daemon {
namespace {

using exporters::add_sample;
using exporters::counter_family;
using exporters::gauge_family;
using prometheus::MetricFamily;

/// Adds a family with at most one sample for each VM; `value` returns an optional or a number.
template <typename Value>
void add_gauge(exporters::MetricsPage& page, const VmList& vms, std::string name, std::string help,
               Value value) {
  page.add([&vms, name = std::move(name), help = std::move(help), value] {
    auto family = gauge_family(name, help);
    for (const auto& vm : vms) {
      if (const std::optional<double> figure = value(*vm))
        add_sample(family, {{"vm", vm->name()}}, *figure);
    }
    return family;
  });
}

template <typename Value>
void add_counter(exporters::MetricsPage& page, const VmList& vms, std::string name,
                 std::string help, Value value) {
  page.add([&vms, name = std::move(name), help = std::move(help), value] {
    auto family = counter_family(name, help);
    for (const auto& vm : vms) add_sample(family, {{"vm", vm->name()}}, value(*vm));
    return family;
  });
}

MetricFamily collect_info(const VmList& vms) {
  auto family =
      gauge_family("qemu_vm_info", "Identity of the VM and of its QEMU, as last seen. Always 1.");
  for (const auto& vm : vms) {
    const auto& identity = vm->identity();
    if (!identity) continue;
    const auto pid = vm->process() ? std::to_string(vm->process()->pid) : std::string();
    add_sample(family,
               {{"vm", vm->name()},
                {"name", identity->name},
                {"uuid", identity->uuid},
                {"version", vm->qemu_version()},
                {"package", identity->package},
                {"arch", identity->arch},
                {"accelerator", identity->accelerator},
                {"machine", identity->machine},
                {"pid", pid},
                {"trace_backend",
                 vm->router() != nullptr ? vm->router()->backend() : std::string_view("unknown")}},
               1);
  }
  return family;
}

MetricFamily collect_events(const VmList& vms) {
  auto family = counter_family(
      "qemu_trace_events_total",
      "Records of a trace event that QEMU wrote and qemond read, since qemond started.");
  for (const auto& vm : vms) {
    for (trace::EventIndex event = 0; event < vm->events().size(); ++event) {
      const auto count = vm->counters().count(event);
      if (count == 0 && !vm->leases().at(event).ever_on) continue;
      add_sample(family, {{"vm", vm->name()}, {"event", vm->events().name(event)}}, count);
    }
  }
  return family;
}

/// Of events that are or were sampled; `value` is a member of Sampler::Estimate.
MetricFamily collect_estimates(const VmList& vms, MetricFamily family,
                               double Sampler::Estimate::*value) {
  for (const auto& vm : vms) {
    for (const auto& estimate : vm->estimates())
      add_sample(family, {{"vm", vm->name()}, {"event", vm->events().name(estimate.event)}},
                 estimate.*value);
  }
  return family;
}

MetricFamily collect_enabled(const VmList& vms) {
  auto family = gauge_family(
      "qemu_trace_event_enabled",
      "1 while a trace event is switched on or sampled. Only for events that are or were on.");
  for (const auto& vm : vms) {
    for (trace::EventIndex event = 0; event < vm->events().size(); ++event) {
      const auto& state = vm->leases().at(event);
      if (!state.ever_on) continue;
      add_sample(family, {{"vm", vm->name()}, {"event", vm->events().name(event)}},
                 state.on || vm->leases().sampling_of(event) ? 1 : 0);
    }
  }
  return family;
}

MetricFamily collect_dropped(const VmList& vms) {
  auto family = counter_family(
      "qemu_trace_dropped_events_total",
      "Events that QEMU itself dropped because its trace buffer was full, as its trace says. "
      "The log backend never drops.");
  for (const auto& vm : vms) {
    const auto* router = vm->router();
    const auto dropped = vm->trace_totals().decoder.dropped_events;
    if (dropped == 0 && (router == nullptr || router->backend() == "none")) continue;
    add_sample(family, {{"vm", vm->name()}}, dropped);
  }
  return family;
}

MetricFamily collect_errors(const VmList& vms) {
  auto family =
      counter_family("qemond_trace_decode_errors_total",
                     "What stood in the trace and was no record that could be used, by reason.");
  for (const auto& vm : vms) {
    const auto totals = vm->trace_totals();
    for (std::size_t reason = 0; reason < trace::decode_error_count; ++reason) {
      add_sample(family,
                 {{"vm", vm->name()},
                  {"reason", trace::to_string(static_cast<trace::DecodeError>(reason))}},
                 totals.decoder.errors[reason]);
    }
  }
  return family;
}

void add_trace_metrics(exporters::MetricsPage& page, const VmList& vms) {
  add_counter(page, vms, "qemond_trace_bytes_read_total", "Bytes of trace read.",
              [](const Vm& vm) { return vm.trace_totals().bytes_read; });
  add_counter(page, vms, "qemond_trace_records_total", "Trace records decoded and counted.",
              [](const Vm& vm) { return vm.trace_totals().decoder.records; });
  add_counter(
      page, vms, "qemond_trace_stale_records_total",
      "Records that were older than the opening of the trace file and are not counted as events.",
      [](const Vm& vm) { return vm.trace_totals().decoder.stale_records; });
  page.add([&vms] { return collect_errors(vms); });
  add_counter(
      page, vms, "qemond_trace_resyncs_total",
      "Times that the decoder had to look for the next record because bytes were missing or wrong.",
      [](const Vm& vm) { return vm.trace_totals().decoder.resyncs; });
  add_counter(page, vms, "qemond_trace_lost_bytes_total", "Bytes of trace passed over by resyncs.",
              [](const Vm& vm) { return vm.trace_totals().decoder.lost_bytes; });
  add_counter(page, vms, "qemond_trace_restarts_total",
              "Times that the trace file was truncated or replaced by others.",
              [](const Vm& vm) { return vm.trace_totals().restarts; });
  add_counter(page, vms, "qemond_trace_read_errors_total",
              "Failed attempts to read the trace file.",
              [](const Vm& vm) { return vm.trace_totals().read_errors; });
  add_gauge(page, vms, "qemond_trace_lag_bytes",
            "Bytes of trace that are written and not yet counted.",
            [](const Vm& vm) -> std::optional<double> {
              if (vm.router() == nullptr || !vm.router()->following()) return std::nullopt;
              return static_cast<double>(vm.router()->lag_bytes());
            });
  add_gauge(page, vms, "qemond_trace_lag_seconds",
            "Age of the newest counted record while more waits to be read, else 0. Absent without "
            "timestamps.",
            [](const Vm& vm) { return vm.lag_seconds(); });
  add_counter(page, vms, "qemond_trace_flushes_total",
              "Times that QEMU was asked to write its pending trace.",
              [](const Vm& vm) { return vm.monitor_totals().flushes; });
}

/// One family of one VM, in the figures that it is part of.
struct Found {
  std::string vm;
  std::shared_ptr<const Figures> figures;
  const MetricFamily* family;
};
using FoundByName = std::map<std::string, std::vector<Found>>;

/// All VMs' samples of one family.
MetricFamily join(const std::vector<Found>& all) {
  MetricFamily family;
  for (const auto& found : all) {
    if (family.name.empty()) {
      family.name = found.family->name;
      family.help = found.family->help;
      family.type = found.family->type;
    }
    if (found.family->type != family.type) continue;
    for (const auto& metric : found.family->metric) {
      auto& added = family.metric.emplace_back(metric);
      added.label.insert(added.label.begin(), {"vm", found.vm});
    }
  }
  return family;
}

/// What the collectors of all VMs know at the beginning of a scrape, which is shared by its turns.
std::vector<exporters::MetricsPage::Collect> collected_families(const VmList& vms) {
  const auto by_name = std::make_shared<FoundByName>();
  for (const auto& vm : vms) {
    for (const auto& figures : vm->figures())
      for (const auto& family : *figures)
        (*by_name)[family.name].push_back({vm->name(), figures, &family});
  }
  std::vector<exporters::MetricsPage::Collect> families;
  families.reserve(by_name->size());
  for (const auto& [name, found] : *by_name)
    families.push_back([by_name, &found = found] { return join(found); });
  return families;
}

/// A gauge for each collector that is on; `value` returns an optional.
template <typename Value>
void add_health(exporters::MetricsPage& page, const VmList& vms, std::string name, std::string help,
                Value value) {
  page.add([&vms, name = std::move(name), help = std::move(help), value] {
    auto family = gauge_family(name, help);
    for (const auto& vm : vms) {
      for (const auto& health : vm->collectors().health()) {
        if (const std::optional<double> figure = value(health))
          add_sample(family, {{"vm", vm->name()}, {"collector", health.name}}, *figure);
      }
    }
    return family;
  });
}

void add_collector_metrics(exporters::MetricsPage& page, const VmList& vms) {
  page.add_group([&vms] { return collected_families(vms); });
  add_health(page, vms, "qemond_collector_success", "Whether the collector's last poll succeeded.",
             [](const CollectorRunner::Health& health) -> std::optional<double> {
               if (!health.success) return std::nullopt;
               return *health.success ? 1.0 : 0.0;
             });
  add_health(page, vms, "qemond_collector_duration_seconds", "How long its last poll took.",
             [](const CollectorRunner::Health& health) -> std::optional<double> {
               if (!health.success) return std::nullopt;
               return health.duration_seconds;
             });
  add_health(page, vms, "qemond_collector_last_success_timestamp_seconds",
             "When it succeeded last, in seconds since the epoch.",
             [](const CollectorRunner::Health& health) { return health.last_success_timestamp; });
}

}  // namespace

void add_vm_metrics(exporters::MetricsPage& page, const VmList& vms) {
  add_gauge(page, vms, "qemu_up",
            "1 while qemond is attached to the VM's monitor and the monitor answers.",
            [](const Vm& vm) -> std::optional<double> { return vm.is_up() ? 1.0 : 0.0; });
  page.add([&vms] { return collect_info(vms); });
  page.add([&vms] { return collect_events(vms); });
  page.add([&vms] {
    return collect_estimates(
        vms,
        counter_family("qemu_trace_events_estimated_total",
                       "Records that a sampled trace event would have had if it had been on all "
                       "the time since it was sampled first, as its windows say."),
        &Sampler::Estimate::total);
  });
  page.add([&vms] {
    return collect_estimates(vms,
                             counter_family("qemu_trace_event_observed_seconds_total",
                                            "Time that a sampled trace event was on."),
                             &Sampler::Estimate::observed_seconds);
  });
  page.add([&vms] { return collect_enabled(vms); });
  page.add([&vms] { return collect_dropped(vms); });
  add_collector_metrics(page, vms);
  add_trace_metrics(page, vms);
  page.add([&vms] {
    auto family = gauge_family("qemond_pack_enabled", "1 while a pack is switched on for a VM.");
    for (const auto& vm : vms)
      for (const auto& pack : vm->packs_on())
        add_sample(family, {{"vm", vm->name()}, {"pack", pack}}, 1);
    return family;
  });
  add_counter(page, vms, "qemond_monitor_reconnects_total",
              "Times that the monitor was attached again after the first time.", [](const Vm& vm) {
                const auto sessions = vm.monitor_totals().sessions;
                return sessions > 0 ? sessions - 1 : 0;
              });
  add_counter(page, vms, "qemond_monitor_timeouts_total",
              "Monitor commands that were not answered in time.",
              [](const Vm& vm) { return vm.monitor_totals().timeouts; });
  add_counter(page, vms, "qemond_event_foreign_changes_total",
              "Times that somebody else switched a trace event.",
              [](const Vm& vm) { return vm.monitor_totals().foreign_changes; });
}

void add_pack_metrics(exporters::MetricsPage& page, const VmList& vms) {
  page.add_group([engines = exporters::Engines([&vms] {
                    std::vector<exporters::EngineOfVm> list;
                    for (const auto& vm : vms) {
                      const auto* router = vm->router();
                      const bool has_times =
                          router == nullptr || router->timestamps().value_or(true);
                      list.push_back({vm->name(), &vm->engine(), has_times});
                    }
                    return list;
                  })] { return exporters::pack_families(engines); });
}

}  // namespace qemon::daemon
