// The part of Vm that runs packs: which are on, the events that they hold, and what the VM can
// offer.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <utility>

#include "daemon/vm.hpp"
#include "daemon/vm_request.hpp"

namespace qemon::daemon {
namespace {

/// Who holds what the configuration names.
Asker configuration() {
  return {"configuration", {}};
}

std::vector<SwitchReport::Named> named(std::vector<std::pair<std::string, std::string>> entries) {
  std::vector<SwitchReport::Named> list;
  list.reserve(entries.size());
  for (auto& [name, why] : entries) list.push_back({std::move(name), std::move(why)});
  return list;
}

}  // namespace

/// Always leaves something to reconcile.
bool Vm::settle_packs_on(const SwitchRequest& request, SwitchReport& report) {
  const auto on_before = packs_on();
  for (const auto& name : request.names) {
    const auto pack = environment_.packs.find(name);
    report.packs.push_back(
        {name, !on_before.contains(name), pack ? pack->metrics().size() : 0, {}, {}});
    auto sampling = request.sample.sampling;
    if (!request.sample.told && pack) sampling = pack->sampling;
    report.packs.back().lease = grant(request.asker, {}, name, request.length, sampling);
  }
  use_packs();
  for (auto& change : report.packs) {
    const auto* bound = engine_.bound(change.name);
    if (bound == nullptr) continue;
    change.not_offered = named(bound->not_offered());
    if (bound->entries().empty()) {
      // It offers nothing here, so nobody is to wait for it.
      end_leases({change.lease->id}, nullptr);
      change.lease.reset();
      change.changed = false;
      continue;
    }
    lease_pack(change.name, true, &report);
  }
  return true;
}

/// Always leaves something to reconcile. A pack that goes off counts on until its events are off,
/// so that it has all their records.
bool Vm::settle_packs_off(const SwitchRequest& request, SwitchReport& report) {
  for (const auto& name : request.names) {
    std::vector<LeaseId> leases;
    for (const auto& [id, lease] : leases_.all())
      if (lease.pack == name) leases.push_back(id);
    end_leases(leases, &report);
    const auto pack = environment_.packs.find(name);
    report.packs.push_back(
        {name, !leases.empty(), pack ? pack->metrics().size() : 0, {}, std::nullopt});
  }
  return true;
}

/// Makes the engine run the packs that are on, and leases the events that they need now: catalogs
/// and packs change. Costs next to nothing if nothing changed.
void Vm::use_packs() {
  std::vector<std::shared_ptr<const exporters::Pack>> packs;
  for (const auto& pack_name : packs_on()) {
    auto pack = environment_.packs.find(pack_name);
    if (pack) {
      packs.push_back(std::move(pack));
      continue;
    }
    spdlog::warn("{}: pack={} is off, because it is no longer there", name(), pack_name);
    std::vector<LeaseId> leases;
    for (const auto& [id, lease] : leases_.all())
      if (lease.pack == pack_name) leases.push_back(id);
    end_leases(leases, nullptr);
  }
  if (!engine_.use(packs)) return;
  for (const auto& mistake : pack_mistakes())
    spdlog::warn("{}: a metric is left out: {}", name(), mistake);
  for (const auto& pack : packs) lease_pack(pack->name, false, nullptr);
}

/// Takes what the pack needs into its leases, and out of them what it does not need any more.
/// `asked_again`: somebody wants the events on even if others switched them off. `report` is told
/// which go on by that.
void Vm::lease_pack(const std::string& pack_name, bool asked_again, SwitchReport* report) {
  const auto* bound = engine_.bound(pack_name);
  if (bound == nullptr) return;
  const auto needed = bound->needed_events();
  for (const auto event : needed) {
    if (report == nullptr) break;
    const auto state = leases_.at(event);
    (state.on || leases_.sampling_of(event) ? report->already : report->changed)
        .push_back(events_.name(event));
  }
  std::vector<LeaseId> leases;
  for (const auto& [id, lease] : leases_.all())
    if (lease.pack == pack_name) leases.push_back(id);
  for (const auto id : leases) {
    const auto has = leases_.find(id)->events;
    for (const auto event : has)
      // What was too much is remembered: without a catalog, for one, a pack needs less for a while.
      if (!std::binary_search(needed.begin(), needed.end(), event) &&
          leases_.at(event).tripped.empty())
        leases_.give_back(event, id);
    for (const auto event : needed)
      if (asked_again || !has.contains(event)) leases_.take(event, id);
  }
}

void Vm::configure(VmSettings settings) {
  settle_sums();
  const auto before = std::exchange(settings_, std::move(settings));
  for (const auto& name : settings_.packs) {
    if (before.packs.contains(name)) continue;
    const auto pack = environment_.packs.find(name);
    grant(configuration(), {}, name, std::nullopt, pack ? pack->sampling : std::nullopt);
  }
  std::vector<LeaseId> unwanted;
  for (const auto& [id, lease] : leases_.all())
    if (lease.asker == configuration() && !settings_.packs.contains(lease.pack))
      unwanted.push_back(id);
  end_leases(unwanted, nullptr);
  if (settings_.catalog != before.catalog && router_) choose_catalog();
  collectors_.configure(settings_.collectors);
  packs_changed();
}

/// What the kernel counted and added up until now is the present rules'.
void Vm::settle_sums() {
  if (router_ && router_->follows_probes()) router_->pump(environment_.read_buffer);
}

void Vm::packs_changed() {
  settle_sums();
  use_packs();
  feed_timer_.cancel();
  next_poll_time_ = std::chrono::steady_clock::now();
  wake();
}

std::vector<std::string> Vm::pack_mistakes() const {
  std::vector<std::string> all;
  // Without a catalog nothing is known of arguments, which is told elsewhere.
  if (!catalog_.catalog) return all;
  for (const auto& pack_name : packs_on()) {
    const auto* bound = engine_.bound(pack_name);
    if (bound == nullptr) continue;
    const auto& lines = bound->mistakes().lines();
    all.insert(all.end(), lines.begin(), lines.end());
  }
  return all;
}

PackFit Vm::fit(const exporters::Pack& pack) const {
  PackFit fit;
  fit.on = packs_on().contains(pack.name);
  // Bound for the answer only, with metrics that nobody sees.
  std::map<std::string, exporters::Metric> metrics;
  const exporters::BoundPack bound(
      pack, events_, [&](const exporters::Rule& rule) -> exporters::Metric& {
        return metrics.try_emplace(rule.metric, rule.metric, rule.help, rule.shape).first->second;
      });
  for (const auto event : bound.needed_events()) fit.events.push_back(events_.name(event));
  std::sort(fit.events.begin(), fit.events.end());
  fit.not_offered = named(bound.not_offered());
  const bool has_latency = std::any_of(pack.rules.begin(), pack.rules.end(), [](const auto& rule) {
    return rule.shape.kind == exporters::MetricKind::latency;
  });
  if (has_latency && router_ && router_->timestamps() == false)
    fit.note = "no latencies, since QEMU runs without -msg timestamp=on";
  return fit;
}

}  // namespace qemon::daemon
