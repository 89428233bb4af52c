#include "daemon/vm_json.hpp"

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
  trace["lag_bytes"] = router != nullptr ? router->lag_bytes() : 0;
  trace["lag_seconds"] = or_null(vm.lag_seconds());
  return trace;
}

json named(const std::vector<SwitchReport::Named>& entries) {
  auto list = json::array();
  for (const auto& entry : entries) list.push_back({{"name", entry.name}, {"why", entry.why}});
  return list;
}

std::string_view state_of(const EventSwitch& state) {
  if (state.unavailable) return "unavailable";
  return state.on ? "enabled" : "disabled";
}

}  // namespace

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
  object["degraded"] = vm.degraded();
  return object;
}

json to_json(const EventRow& row) {
  return {{"name", row.name},
          {"state", state_of(row.state)},
          {"held", !row.state.holders.empty()},
          {"found_on", row.state.found_on},
          {"switched_off_by_others", row.state.switched_off_by_others},
          {"records", row.records}};
}

json to_json(const std::string& vm, const SwitchReport& report) {
  auto packs = json::array();
  for (const auto& pack : report.packs)
    packs.push_back({{"name", pack.name},
                     {"changed", pack.changed},
                     {"metrics", pack.metrics},
                     {"not_offered", named(pack.not_offered)}});
  return {{"vm", vm},
          {"changed", report.changed},
          {"already", report.already},
          {"unavailable", report.unavailable},
          {"unknown", report.unknown},
          {"kept", named(report.kept)},
          {"failed", named(report.failed)},
          {"packs", std::move(packs)},
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
  return {{"name", pack.name}, {"help", pack.help},
          {"file", pack.file}, {"only_replay", pack.exec_log},
          {"events", events},  {"metrics", std::move(metrics)}};
}

}  // namespace qemon::daemon
