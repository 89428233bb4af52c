// The part of Vm that runs packs: which are on, the events that they hold, and what the VM can
// offer.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "daemon/vm.hpp"
#include "daemon/vm_request.hpp"

namespace qemon::daemon {
namespace {

std::string holder_of(const std::string& pack) {
  return "pack " + pack;
}

/// Packs may need the same events.
void sort_once(std::vector<std::string>& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

std::vector<SwitchReport::Named> named(std::vector<std::pair<std::string, std::string>> entries) {
  std::vector<SwitchReport::Named> list;
  list.reserve(entries.size());
  for (auto& [name, why] : entries) list.push_back({std::move(name), std::move(why)});
  return list;
}

}  // namespace

/// Switches the packs of `request` on or off, as far as that can be done without QEMU. Always
/// leaves something to reconcile.
bool Vm::settle_packs(const SwitchRequest& request, SwitchReport& report) {
  for (const auto& name : request.packs) {
    const bool was_on = packs_on_.contains(name);
    if (request.on) {
      packs_on_.insert(name);
    } else {
      packs_on_.erase(name);
      for (trace::EventIndex event = 0; event < events_.size(); ++event) {
        if (!leases_.give_back(event, holder_of(name))) continue;
        const auto& state = leases_.at(event);
        if (state.on && state.ours && state.holders.empty())
          report.changed.push_back(events_.name(event));
      }
    }
    const auto pack = environment_.packs.find(name);
    report.packs.push_back({name, was_on != request.on, pack ? pack->metrics().size() : 0, {}});
  }
  sort_once(report.changed);
  // A pack that goes off counts on until its events are off, so that it has all their records.
  if (!request.on) return true;
  use_packs();
  for (auto& change : report.packs) {
    const auto* bound = engine_.bound(change.name);
    if (bound == nullptr) continue;
    change.not_offered = named(bound->not_offered());
    if (bound->entries().empty()) {
      change.changed = packs_on_.erase(change.name) == 0;
      continue;
    }
    lease_pack(change.name, true, &report);
  }
  sort_once(report.changed);
  sort_once(report.already);
  return true;
}

/// Makes the engine run the packs that are on, and leases the events that they need now: catalogs
/// and packs change. Costs next to nothing if nothing changed.
void Vm::use_packs() {
  std::vector<std::shared_ptr<const exporters::Pack>> packs;
  for (auto name = packs_on_.begin(); name != packs_on_.end();) {
    auto pack = environment_.packs.find(*name);
    if (pack) {
      packs.push_back(std::move(pack));
      ++name;
      continue;
    }
    spdlog::warn("{}: pack={} is off, because it is no longer there", this->name(), *name);
    for (trace::EventIndex event = 0; event < events_.size(); ++event)
      leases_.give_back(event, holder_of(*name));
    name = packs_on_.erase(name);
  }
  if (!engine_.use(packs)) return;
  for (const auto& mistake : pack_mistakes())
    spdlog::warn("{}: a metric is left out: {}", this->name(), mistake);
  for (const auto& pack : packs) lease_pack(pack->name, false, nullptr);
}

/// Takes leases on what the pack needs and gives back the others. `asked_again`: somebody wants the
/// events on even if others switched them off. `report` is told which go on by that.
void Vm::lease_pack(const std::string& name, bool asked_again, SwitchReport* report) {
  const auto* bound = engine_.bound(name);
  if (bound == nullptr) return;
  const auto holder = holder_of(name);
  const auto needed = bound->needed_events();
  for (trace::EventIndex event = 0; event < events_.size(); ++event) {
    const auto& state = leases_.at(event);
    const bool held =
        std::find(state.holders.begin(), state.holders.end(), holder) != state.holders.end();
    if (!std::binary_search(needed.begin(), needed.end(), event)) {
      if (held) leases_.give_back(event, holder);
    } else if (!held || asked_again) {
      if (report != nullptr)
        (state.on ? report->already : report->changed).push_back(events_.name(event));
      leases_.take(event, holder);
    }
  }
}

void Vm::configure(VmSettings settings) {
  for (const auto& name : settings_.packs) {
    if (settings.packs.contains(name) || packs_on_.erase(name) == 0) continue;
    for (trace::EventIndex event = 0; event < events_.size(); ++event)
      leases_.give_back(event, holder_of(name));
  }
  for (const auto& name : settings.packs)
    if (!settings_.packs.contains(name)) packs_on_.insert(name);
  const bool other_catalog = settings.catalog != settings_.catalog;
  settings_ = std::move(settings);
  if (other_catalog && router_) choose_catalog();
  collectors_.configure(settings_.collectors);
  packs_changed();
}

void Vm::packs_changed() {
  use_packs();
  next_poll_time_ = std::chrono::steady_clock::now();
  wake();
}

/// Ends everything that anybody asked for.
void Vm::end_all_leases() {
  leases_.give_back_all();
  packs_on_.clear();
}

std::vector<std::string> Vm::pack_mistakes() const {
  std::vector<std::string> all;
  // Without a catalog nothing is known of arguments, which is told elsewhere.
  if (!catalog_.catalog) return all;
  for (const auto& name : packs_on_) {
    const auto* bound = engine_.bound(name);
    if (bound == nullptr) continue;
    const auto& lines = bound->mistakes().lines();
    all.insert(all.end(), lines.begin(), lines.end());
  }
  return all;
}

PackFit Vm::fit(const exporters::Pack& pack) const {
  PackFit fit;
  fit.on = packs_on_.contains(pack.name);
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
