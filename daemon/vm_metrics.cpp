#include "daemon/vm_metrics.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/vm.hpp"
#include "exporters/engine_metrics.hpp"

namespace qemon::daemon {
namespace {

using exporters::add_sample;
using exporters::counter_family;
using exporters::gauge_family;
using prometheus::MetricFamily;

using Writer = exporters::MetricsPage::Writer;
using Writers = std::vector<Writer>;
/// The VMs as they were at the beginning of a scrape: one that comes or goes meanwhile must not
/// make a family miss another one or have it twice.
using Snapshot = std::shared_ptr<const VmList>;

// Samples that are collected before they become text; a few hundred microseconds.
constexpr std::size_t samples_a_turn = 1000;

/// Writes one family of all VMs; `add` puts the samples of one into it.
template <typename Add>
Writer writer_for(Snapshot vms, MetricFamily family, Add add) {
  return [vms = std::move(vms), family = std::move(family), add, next = std::size_t{0},
          begun = false](std::string& text) mutable {
    while (next < vms->size() && family.metric.size() < samples_a_turn)
      add(*(*vms)[next++], family);
    if (!family.metric.empty()) {
      if (!std::exchange(begun, true)) exporters::append_header(family, text);
      exporters::append_samples(family, text);
      family.metric.clear();
    }
    return next < vms->size();
  };
}

/// The families of one scrape.
class Families {
 public:
  explicit Families(Snapshot vms) : vms_(std::move(vms)) {}

  /// A family with at most one sample for each VM; `value` returns an optional or a number.
  template <typename Value>
  void add_gauge(std::string_view name, std::string_view help, Value value) {
    add(gauge_family(name, help), [value](const Vm& vm, MetricFamily& family) {
      if (const std::optional<double> figure = value(vm))
        add_sample(family, {{"vm", vm.name()}}, *figure);
    });
  }
  template <typename Value>
  void add_counter(std::string_view name, std::string_view help, Value value) {
    add(counter_family(name, help), [value](const Vm& vm, MetricFamily& family) {
      add_sample(family, {{"vm", vm.name()}}, value(vm));
    });
  }
  template <typename Add>
  void add(MetricFamily family, Add how) {
    writers_.push_back(writer_for(vms_, std::move(family), how));
  }
  void add(Writer writer) { writers_.push_back(std::move(writer)); }

  [[nodiscard]] const Snapshot& vms() const { return vms_; }
  [[nodiscard]] Writers take() { return std::move(writers_); }

 private:
  Snapshot vms_;
  Writers writers_;
};

void add_info(const Vm& vm, MetricFamily& family) {
  const auto& identity = vm.identity();
  if (!identity) return;
  const auto pid = vm.process() ? std::to_string(vm.process()->pid) : std::string();
  add_sample(family,
             {{"vm", vm.name()},
              {"name", identity->name},
              {"uuid", identity->uuid},
              {"version", vm.qemu_version()},
              {"package", identity->package},
              {"arch", identity->arch},
              {"accelerator", identity->accelerator},
              {"machine", identity->machine},
              {"pid", pid},
              {"trace_backend",
               vm.router() != nullptr ? vm.router()->backend() : std::string_view("unknown")}},
             1);
}

void add_events(const Vm& vm, MetricFamily& family) {
  vm.leases().each_ever_on([&](trace::EventIndex event, bool) {
    if (vm.counters().count(event) == 0)
      add_sample(family, {{"vm", vm.name()}, {"event", vm.events().name(event)}}, 0);
  });
  const auto counts = vm.counters().counts();
  for (trace::EventIndex event = 0; event < counts.size(); ++event) {
    if (counts[event] == 0) continue;
    add_sample(family, {{"vm", vm.name()}, {"event", vm.events().name(event)}}, counts[event]);
  }
}

/// Of events that are or were sampled; `value` is a member of Sampler::Estimate.
template <double Sampler::Estimate::*value>
void add_estimates(const Vm& vm, MetricFamily& family) {
  for (const auto& estimate : vm.estimates())
    add_sample(family, {{"vm", vm.name()}, {"event", vm.events().name(estimate.event)}},
               estimate.*value);
}

void add_enabled(const Vm& vm, MetricFamily& family) {
  vm.leases().each_ever_on([&](trace::EventIndex event, bool on) {
    add_sample(family, {{"vm", vm.name()}, {"event", vm.events().name(event)}},
               on || vm.leases().sampling_of(event) ? 1 : 0);
  });
}

void add_dropped(const Vm& vm, MetricFamily& family) {
  const auto* router = vm.router();
  const auto dropped = vm.trace_totals().decoder.dropped_events;
  if (dropped == 0 && (router == nullptr || router->backend() == "none")) return;
  add_sample(family, {{"vm", vm.name()}}, dropped);
}

void add_trips(const Vm& vm, MetricFamily& family) {
  for (const auto& [event, count] : vm.trips())
    add_sample(family, {{"vm", vm.name()}, {"event", vm.events().name(event)}}, count);
}

void add_errors(const Vm& vm, MetricFamily& family) {
  const auto totals = vm.trace_totals();
  for (std::size_t reason = 0; reason < trace::decode_error_count; ++reason) {
    add_sample(
        family,
        {{"vm", vm.name()}, {"reason", trace::to_string(static_cast<trace::DecodeError>(reason))}},
        totals.decoder.errors[reason]);
  }
}

void add_trace_metrics(Families& page) {
  page.add_counter("qemond_trace_bytes_read_total", "Bytes of trace read.",
                   [](const Vm& vm) { return vm.trace_totals().bytes_read; });
  page.add_counter("qemond_trace_records_total", "Trace records decoded and counted.",
                   [](const Vm& vm) { return vm.trace_totals().decoder.records; });
  page.add_counter(
      "qemond_trace_stale_records_total",
      "Records that were older than the opening of the trace file and are not counted as events.",
      [](const Vm& vm) { return vm.trace_totals().decoder.stale_records; });
  page.add(counter_family("qemond_trace_decode_errors_total",
                          "What stood in the trace and was no record that could be used, by "
                          "reason."),
           add_errors);
  page.add_counter(
      "qemond_trace_resyncs_total",
      "Times that the decoder had to look for the next record because bytes were missing or wrong.",
      [](const Vm& vm) { return vm.trace_totals().decoder.resyncs; });
  page.add_counter("qemond_trace_lost_bytes_total", "Bytes of trace passed over by resyncs.",
                   [](const Vm& vm) { return vm.trace_totals().decoder.lost_bytes; });
  page.add_counter("qemond_trace_restarts_total",
                   "Times that the trace file was truncated or replaced by others.",
                   [](const Vm& vm) { return vm.trace_totals().restarts; });
  page.add_counter("qemond_trace_read_errors_total",
                   "Times that reading the trace file began to fail.",
                   [](const Vm& vm) { return vm.trace_totals().read_errors; });
  page.add_gauge("qemond_trace_lag_bytes", "Bytes of trace that are written and not yet counted.",
                 [](const Vm& vm) -> std::optional<double> {
                   if (vm.router() == nullptr || !vm.router()->following()) return std::nullopt;
                   return static_cast<double>(vm.router()->lag_bytes());
                 });
  page.add_gauge(
      "qemond_trace_lag_seconds",
      "Age of the newest counted record while more waits to be read, else 0. Absent without "
      "timestamps.",
      [](const Vm& vm) { return vm.lag_seconds(); });
  page.add_gauge("qemond_trace_space_used_bytes",
                 "What counts against --trace-space: what the trace file occupies, or how much a "
                 "log that is followed in place has grown. Absent while qemond wants no event.",
                 [](const Vm& vm) -> std::optional<double> {
                   const auto used = vm.trace_space_used();
                   if (!used) return std::nullopt;
                   return static_cast<double>(*used);
                 });
  page.add_gauge(
      "qemond_trace_space_bytes",
      "The limit of that (--trace-space). Events go off at it, at three quarters of it "
      "for a file of qemond's.",
      [](const Vm& vm) -> std::optional<double> { return static_cast<double>(vm.trace_space()); });
  page.add_gauge("qemond_trace_file_system_full",
                 "1 while QEMU has no room to write its trace on. Absent while nothing is traced.",
                 [](const Vm& vm) -> std::optional<double> {
                   const auto full = vm.trace_file_system_full();
                   if (!full) return std::nullopt;
                   return *full ? 1.0 : 0.0;
                 });
  page.add_counter("qemond_trace_flushes_total",
                   "Times that QEMU was asked to write its pending trace.",
                   [](const Vm& vm) { return vm.monitor_totals().flushes; });
}

/// Joins what is text already: what the collectors of all VMs found, and their own states. First
/// gathers it by family, then writes the families by name.
class JoinedFamilies {
 public:
  explicit JoinedFamilies(Snapshot vms) : vms_(std::move(vms)) {}

  bool operator()(std::string& text) {
    if (next_vm_ < vms_->size()) {
      const auto end = std::min(next_vm_ + vms_a_turn, vms_->size());
      for (; next_vm_ < end; ++next_vm_) gather(*(*vms_)[next_vm_]);
      return true;
    }
    if (order_.size() < by_name_.size()) {
      for (const auto& [name, parts] : by_name_) order_.push_back(&parts);
      std::sort(order_.begin(), order_.end(), [](const Parts* a, const Parts* b) {
        return a->front()->header->name < b->front()->header->name;
      });
    }
    if (next_family_ < order_.size()) write(*order_[next_family_++], text);
    return next_family_ < order_.size();
  }

 private:
  using Parts = std::vector<const exporters::FamilyText*>;
  static constexpr std::size_t vms_a_turn = 50;

  void gather(const Vm& vm) {
    const auto take = [this](std::shared_ptr<const exporters::FamilyTexts> found) {
      for (const auto& family : *found) by_name_[family.header->name].push_back(&family);
      kept_.push_back(std::move(found));
    };
    vm.collectors().each_found(take);
    take(vm.own_families());
  }

  static void write(const Parts& parts, std::string& text) {
    const auto& header = *parts.front()->header;
    text += header.text;
    // QEMUs of different versions may differ in what a name means; a family has one type.
    for (const auto* part : parts)
      if (part->header->type == header.type) text += part->samples;
  }

  Snapshot vms_;
  std::size_t next_vm_ = 0;
  std::vector<std::shared_ptr<const exporters::FamilyTexts>> kept_;  // For the pointers and views.
  std::unordered_map<std::string_view, Parts> by_name_;
  std::vector<const Parts*> order_;
  std::size_t next_family_ = 0;
};

/// A gauge for each collector that is on; `value` returns an optional.
template <typename Value>
void add_health(Families& page, std::string_view name, std::string_view help, Value value) {
  page.add(gauge_family(name, help), [value](const Vm& vm, MetricFamily& family) {
    vm.collectors().each_health([&](const CollectorRunner::Health& health) {
      if (const std::optional<double> figure = value(health))
        add_sample(family, {{"vm", vm.name()}, {"collector", health.name}}, *figure);
    });
  });
}

void add_collector_metrics(Families& page) {
  // A function is copied, and this one is not small.
  page.add([joined = std::make_shared<JoinedFamilies>(page.vms())](std::string& text) {
    return (*joined)(text);
  });
  add_health(page, "qemond_collector_success", "Whether the collector's last poll succeeded.",
             [](const CollectorRunner::Health& health) -> std::optional<double> {
               if (!health.success) return std::nullopt;
               return *health.success ? 1.0 : 0.0;
             });
  add_health(page, "qemond_collector_duration_seconds", "How long its last poll took.",
             [](const CollectorRunner::Health& health) -> std::optional<double> {
               if (!health.success) return std::nullopt;
               return health.duration_seconds;
             });
  add_health(page, "qemond_collector_last_success_timestamp_seconds",
             "When it succeeded last, in seconds since the epoch.",
             [](const CollectorRunner::Health& health) { return health.last_success_timestamp; });
}

void add_families(Families& page) {
  page.add_gauge("qemu_up",
                 "1 while qemond is attached to the VM's monitor and the monitor answers.",
                 [](const Vm& vm) -> std::optional<double> { return vm.is_up() ? 1.0 : 0.0; });
  page.add(
      gauge_family("qemu_vm_info", "Identity of the VM and of its QEMU, as last seen. Always 1."),
      add_info);
  page.add(counter_family(
               "qemu_trace_events_total",
               "Records of a trace event that QEMU wrote and qemond read, since qemond started."),
           add_events);
  page.add(gauge_family(
               "qemu_trace_event_enabled",
               "1 while a trace event is switched on or sampled. Only for events that are or were "
               "on."),
           add_enabled);
  page.add(counter_family("qemu_trace_events_estimated_total",
                          "Records that a sampled trace event would have had if it had been on all "
                          "the time since it was sampled first, as its windows say."),
           add_estimates<&Sampler::Estimate::total>);
  page.add(counter_family("qemu_trace_event_observed_seconds_total",
                          "Time that a sampled trace event was on."),
           add_estimates<&Sampler::Estimate::observed_seconds>);
  page.add(counter_family("qemu_trace_dropped_events_total",
                          "Events that QEMU itself dropped because its trace buffer was full, as "
                          "its trace says. The log backend never drops."),
           add_dropped);
  page.add_gauge("qemu_trace_complete_ratio",
                 "Share of the last minute in which nothing of the trace was lost. Absent while "
                 "nothing is traced.",
                 [](const Vm& vm) { return vm.complete_ratio(); });
  page.add(counter_family("qemond_budget_trips_total",
                          "Times that a trace event was switched off because it was more than its "
                          "VM's budget or space."),
           add_trips);
  add_collector_metrics(page);
  add_trace_metrics(page);
  page.add(gauge_family("qemond_pack_enabled", "1 while a pack is switched on for a VM."),
           [](const Vm& vm, MetricFamily& family) {
             for (const auto& pack : vm.packs_on())
               add_sample(family, {{"vm", vm.name()}, {"pack", pack}}, 1);
           });
  page.add_counter("qemond_monitor_reconnects_total",
                   "Times that the monitor was attached again after the first time.",
                   [](const Vm& vm) {
                     const auto sessions = vm.monitor_totals().sessions;
                     return sessions > 0 ? sessions - 1 : 0;
                   });
  page.add_counter("qemond_monitor_timeouts_total",
                   "Monitor commands that were not answered in time.",
                   [](const Vm& vm) { return vm.monitor_totals().timeouts; });
  page.add_counter("qemond_event_foreign_changes_total",
                   "Times that somebody else switched a trace event.",
                   [](const Vm& vm) { return vm.monitor_totals().foreign_changes; });
}

}  // namespace

void add_vm_metrics(exporters::MetricsPage& metrics, const VmList& vms) {
  metrics.add_source([&vms] {
    Families page(std::make_shared<const VmList>(vms));
    add_families(page);
    return page.take();
  });
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
