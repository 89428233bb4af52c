#include "daemon/vm_json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "daemon/vm.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json trace_json(const Vm& vm) {
  const auto* router = vm.router();
  const auto totals = vm.trace_totals();
  json trace;
  trace["backend"] = router != nullptr ? router->backend() : "unknown";
  trace["how"] = router != nullptr ? router->backend_found_by() : "";
  trace["destination"] = to_string(router != nullptr ? router->destination() : Destination::none);
  trace["path"] = router != nullptr ? router->path() : "";
  trace["catalog"] = vm.catalog_path();
  trace["timestamps"] = or_null(router != nullptr ? router->timestamps() : std::nullopt);
  trace["bytes_read"] = totals.bytes_read;
  trace["records"] = totals.decoder.records;
  trace["dropped"] = totals.decoder.dropped_events;
  trace["drops_counted"] = router != nullptr && router->counts_drops();
  trace["complete_ratio"] = or_null(vm.complete_ratio());
  trace["full"] = router != nullptr && router->is_full();
  trace["lag_bytes"] = router != nullptr ? router->lag_bytes() : 0;
  trace["lag_seconds"] = or_null(vm.lag_seconds());
  return trace;
}

/// null where there is no limit.
json limit(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

json budget_json(const Vm& vm) {
  const auto limits = vm.budget_limits();
  json budget;
  budget["records"] = limit(limits.records);
  budget["bytes"] = limit(limits.bytes);
  budget["drops"] = limit(limits.drops);
  budget["lag_seconds"] = limit(limits.lag_seconds);
  budget["grace_seconds"] = std::chrono::duration<double>(limits.grace).count();
  budget["rates"] = nullptr;
  if (const auto rates = vm.budget().rates())
    budget["rates"] = {
        {"records", rates->records}, {"bytes", rates->bytes}, {"drops", rates->drops}};
  auto tripped = json::array();
  for (const auto event : vm.leases().tripped())
    tripped.push_back({{"name", vm.events().name(event)}, {"why", vm.leases().at(event).tripped}});
  budget["tripped"] = std::move(tripped);
  return budget;
}

json named(const std::vector<SwitchReport::Named>& entries) {
  auto list = json::array();
  for (const auto& entry : entries) list.push_back({{"name", entry.name}, {"why", entry.why}});
  return list;
}

/// Seconds since 1970, by the wall clock as it is now, to the millisecond.
json unix_time(BootClock::time_point time) {
  const std::chrono::duration<double> since = wall_time(time).time_since_epoch();
  return std::round(since.count() * 1000) / 1000;
}

json granted(const std::optional<GrantedLease>& lease) {
  if (!lease) return nullptr;
  json object;
  object["id"] = lease->id;
  object["new"] = lease->is_new;
  add_end(object, lease->until);
  return object;
}

json sample_json(const std::optional<Sampling>& sampling) {
  if (!sampling) return nullptr;
  return {{"on_seconds", static_cast<double>(sampling->on.count()) / 1000},
          {"period_seconds", static_cast<double>(sampling->period.count()) / 1000}};
}

std::string_view state_of(const EventSwitch& state) {
  if (state.unavailable) return "unavailable";
  return state.on ? "enabled" : "disabled";
}

}  // namespace

void add_end(json& object, const std::optional<BootClock::time_point>& until) {
  object["until"] = until ? unix_time(*until) : json(nullptr);
  object["remaining_seconds"] = nullptr;
  if (!until) return;
  const std::chrono::duration<double> remaining = *until - BootClock::now();
  object["remaining_seconds"] = std::max(0.0, std::round(remaining.count() * 1000) / 1000);
}

json to_json(const Vm& vm) {
  const auto& identity = vm.identity();
  json object;
  object["name"] = vm.name();
  object["address"] = vm.address();
  object["state"] = to_string(vm.state());
  object["reason"] = vm.reason();
  object["released_for_seconds"] = or_null(vm.released_for_seconds());
  object["qemu_version"] = vm.qemu_version();
  object["package"] = identity ? identity->package : "";
  object["run_state"] = vm.state() == VmState::attached ? vm.run_state() : std::string();
  object["guest_name"] = identity ? identity->name : "";
  object["uuid"] = identity ? identity->uuid : "";
  object["arch"] = identity ? identity->arch : "";
  object["accelerator"] = identity ? identity->accelerator : "";
  object["pid"] = vm.process() ? json(vm.process()->pid) : json(nullptr);
  object["trace"] = trace_json(vm);
  object["events"] = {{"known", vm.known_events()},
                      {"on", vm.leases().count_on()},
                      {"held", vm.leases().count_held()}};
  object["packs"] = vm.packs_on();
  object["leases"] = vm.leases().all().size();
  // What a QEMU without a monitor has on nobody can switch off.
  object["budget"] = vm.config().file ? json::object() : budget_json(vm);
  const auto plugin = vm.plugin_path();
  object["plugin"] = plugin ? json(*plugin) : json(nullptr);
  object["degraded"] = vm.degraded();
  object["unknown"] = vm.unknown();
  return object;
}

json to_json(const EventRow& row) {
  return {{"name", row.name},
          {"state", state_of(row.state)},
          {"held", !row.state.holders.empty()},
          {"found_on", row.state.found_on},
          {"switched_off_by_others", row.state.switched_off_by_others},
          {"tripped", row.state.tripped.empty() ? json(nullptr) : json(row.state.tripped)},
          {"records", row.records},
          {"sample", sample_json(row.sampling)}};
}

json to_json(const Vm& vm, const Lease& lease) {
  json object;
  object["id"] = lease.id;
  object["vm"] = vm.name();
  object["what"] = subject_of(lease);
  object["patterns"] = lease.patterns;
  object["pack"] = lease.pack.empty() ? json(nullptr) : json(lease.pack);
  object["user"] = lease.asker.user;
  object["uid"] = or_null(lease.asker.uid);
  object["sample"] = sample_json(lease.sampling);
  object["since"] = unix_time(lease.since);
  add_end(object, lease.until);
  std::set<std::string> events;
  for (const auto event : lease.events) events.insert(vm.events().name(event));
  object["events"] = std::move(events);
  return object;
}

json to_json(const std::string& vm, const SwitchReport& report) {
  auto packs = json::array();
  for (const auto& pack : report.packs)
    packs.push_back({{"name", pack.name},
                     {"changed", pack.changed},
                     {"metrics", pack.metrics},
                     {"not_offered", named(pack.not_offered)},
                     {"lease", granted(pack.lease)}});
  return {{"vm", vm},
          {"changed", report.changed},
          {"already", report.already},
          {"unavailable", report.unavailable},
          {"unknown", report.unknown},
          {"kept", named(report.kept)},
          {"failed", named(report.failed)},
          {"packs", std::move(packs)},
          {"lease", granted(report.lease)},
          {"ended", report.ended},
          {"error", report.error}};
}

json to_json(const std::string& vm, const CostReport& report) {
  auto events = json::array();
  for (const auto& cost : report.events)
    events.push_back({{"name", cost.event},
                      {"records_per_second", or_null(cost.records_per_second)},
                      {"bytes_per_second", or_null(cost.bytes_per_second)},
                      {"dropped", cost.dropped},
                      {"cpu_cores", or_null(cost.cpu_cores)},
                      {"cpu_seconds_per_record", or_null(cost.cpu_seconds_per_record)},
                      {"note", cost.note}});
  return {{"vm", vm},
          {"backend", report.backend},
          {"events", std::move(events)},
          {"unknown", report.unknown},
          {"error", report.error}};
}

json to_json(const std::string& vm, const PackFit& fit) {
  return {{"vm", vm},
          {"on", fit.on},
          {"events", fit.events},
          {"not_offered", named(fit.not_offered)},
          {"note", fit.note}};
}

json to_json(const exporters::Pack& pack) {
  auto metrics = json::array();
  for (const auto* rule : pack.metrics()) {
    metrics.push_back({{"name", rule->metric},
                       {"kind", exporters::to_string(rule->shape.kind)},
                       {"help", rule->help},
                       {"labels", rule->shape.labels}});
  }
  std::set<std::string> events;
  for (const auto& rule : pack.rules) {
    for (const auto* choices : {&rule.events, &rule.ends})
      for (const auto& choice : *choices) events.insert(choice.names.begin(), choice.names.end());
  }
  return {{"name", pack.name},
          {"help", pack.help},
          {"file", pack.file},
          {"only_replay", pack.exec_log},
          {"sample", sample_json(pack.sampling)},
          {"events", events},
          {"metrics", std::move(metrics)}};
}

}  // namespace qemon::daemon
