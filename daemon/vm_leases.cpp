// The part of Vm that grants and ends leases.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/event_pattern.hpp"
#include "daemon/switch_annotation.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_request.hpp"

namespace qemon::daemon {

using Wish = Vm::SwitchRequest::Wish;

namespace {

std::optional<BootClock::time_point> end_of(LeaseLength length) {
  if (!length) return std::nullopt;
  return BootClock::now() + *length;
}

void sort_once(std::vector<std::string>& names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
}

std::shared_ptr<Vm::SwitchRequest> request_for(boost::asio::any_io_executor executor, Wish wish,
                                               std::vector<std::string> names, Asker asker = {},
                                               LeaseLength length = {}, SampleWish sample = {}) {
  auto request = std::make_shared<Vm::SwitchRequest>(executor, wish);
  request->names = std::move(names);
  request->asker = std::move(asker);
  request->length = length;
  request->sample = sample;
  return request;
}

}  // namespace

std::shared_ptr<Vm::SwitchRequest> Vm::ask_for_events(std::vector<std::string> patterns,
                                                      Asker asker, LeaseLength length,
                                                      SampleWish sample) {
  return ask(request_for(wake_timer_.get_executor(), Wish::events_on, std::move(patterns),
                         std::move(asker), length, sample));
}

std::shared_ptr<Vm::SwitchRequest> Vm::ask_events_off(std::vector<std::string> patterns) {
  return ask(request_for(wake_timer_.get_executor(), Wish::events_off, std::move(patterns)));
}

std::shared_ptr<Vm::SwitchRequest> Vm::ask_for_packs(std::vector<std::string> names, Asker asker,
                                                     LeaseLength length, SampleWish sample) {
  return ask(request_for(wake_timer_.get_executor(), Wish::packs_on, std::move(names),
                         std::move(asker), length, sample));
}

std::shared_ptr<Vm::SwitchRequest> Vm::ask_packs_off(std::vector<std::string> names) {
  return ask(request_for(wake_timer_.get_executor(), Wish::packs_off, std::move(names)));
}

std::shared_ptr<Vm::SwitchRequest> Vm::ask_to_end(LeaseId id) {
  auto request = std::make_shared<SwitchRequest>(wake_timer_.get_executor(), Wish::reconcile);
  end_leases({id}, &request->report);
  write_journal_or_warn();
  return ask(std::move(request));
}

std::shared_ptr<Vm::SwitchRequest> Vm::ask_to_end_all() {
  auto request = std::make_shared<SwitchRequest>(wake_timer_.get_executor(), Wish::reconcile);
  std::vector<LeaseId> all;
  for (const auto& [id, lease] : leases_.all()) all.push_back(id);
  end_leases(all, &request->report);
  end_plugin_level("put back");
  write_journal_or_warn();
  return ask(std::move(request));
}

std::shared_ptr<Vm::SwitchRequest> Vm::ask_to_refresh() {
  return ask(request_for(wake_timer_.get_executor(), Wish::refresh, {}));
}

Result<void> Vm::set_lease_end(LeaseId id, LeaseLength from_now) {
  if (leases_.find(id) == nullptr) return Error{"there is no lease " + std::to_string(id)};
  leases_.set_until(id, end_of(from_now));
  write_journal_or_warn();
  wake();
  return Result<void>();
}

/// The events, as names or patterns, that a request is about to want on or off.
std::vector<std::string> Vm::events_of_wish(const SwitchRequest& request) const {
  if (request.wish == Wish::events_on || request.wish == Wish::events_off) return request.names;
  if (request.wish != Wish::packs_on) return {};
  std::vector<std::string> names;
  for (const auto& name : request.names) {
    const auto pack = environment_.packs.find(name);
    if (!pack) continue;
    auto events = fit(*pack).events;
    names.insert(names.end(), events.begin(), events.end());
  }
  sort_once(names);
  return names;
}

/// Grants or ends the leases that `request` is about. Sorts into `report` what needs no switching;
/// true if there is something to reconcile.
bool Vm::settle(const SwitchRequest& request, SwitchReport& report) {
  bool any = true;
  switch (request.wish) {
    case Wish::events_on:
      any = settle_events_on(request, report);
      break;
    case Wish::events_off:
      any = settle_events_off(request, report);
      break;
    case Wish::packs_on:
      any = settle_packs_on(request, report);
      break;
    case Wish::packs_off:
      any = settle_packs_off(request, report);
      break;
    case Wish::reconcile:
    case Wish::refresh:
      break;
  }
  for (auto* names : {&report.changed, &report.already, &report.unavailable}) sort_once(*names);
  return any;
}

bool Vm::settle_events_on(const SwitchRequest& request, SwitchReport& report) {
  std::vector<trace::EventIndex> wanted;
  for (const auto& pattern : request.names) {
    bool matched = false;
    for (trace::EventIndex event = 0; event < events_.size(); ++event) {
      const auto& event_name = events_.name(event);
      if (!matches_event_pattern(pattern, event_name)) continue;
      matched = true;
      const auto before = leases_.at(event);
      if (before.unavailable) {
        report.unavailable.push_back(event_name);
        continue;
      }
      (before.on || leases_.sampling_of(event) ? report.already : report.changed)
          .push_back(event_name);
      wanted.push_back(event);
    }
    if (!matched) report.unknown.push_back(pattern);
  }
  if (wanted.empty()) return false;
  report.lease = grant(request.asker, request.names, {}, request.length, request.sample.sampling);
  for (const auto event : wanted) leases_.take(event, report.lease->id);
  return true;
}

/// Ends what the command line holds, whoever asked for it: one can switch off what another one
/// forgot.
bool Vm::settle_events_off(const SwitchRequest& request, SwitchReport& report) {
  bool any = false;
  for (const auto& pattern : request.names) {
    bool matched = false;
    for (trace::EventIndex event = 0; event < events_.size(); ++event) {
      const auto& event_name = events_.name(event);
      if (!matches_event_pattern(pattern, event_name)) continue;
      matched = true;
      const auto holders = leases_.at(event).holders;
      const bool was_sampled = leases_.sampling_of(event).has_value();
      for (const auto id : holders)
        if (leases_.find(id)->pack.empty()) leases_.give_back(event, id);
      const auto now = leases_.at(event);
      if (leases_.sampling_of(event)) {
        report.kept.push_back(
            {event_name, "is also held by " + subject_of(*leases_.find(now.holders.front()))});
      } else if (!now.on && was_sampled) {
        report.changed.push_back(event_name);
      } else if (!now.on) {
        report.already.push_back(event_name);
      } else if (now.ours && now.holders.empty()) {
        report.changed.push_back(event_name);
      } else if (now.ours) {
        report.kept.push_back(
            {event_name, "is also held by " + subject_of(*leases_.find(now.holders.front()))});
      } else {
        report.kept.push_back({event_name, "was switched on by somebody else, not by qemon"});
      }
    }
    any |= matched;
    if (!matched) report.unknown.push_back(pattern);
  }
  for (const auto& [id, lease] : leases_.all())
    if (lease.pack.empty() && lease.events.empty()) report.ended.push_back(id);
  leases_.end_empty();
  return any;
}

/// A lease of that asker for the same is given a new end instead of a second one beside it.
GrantedLease Vm::grant(const Asker& asker, std::vector<std::string> patterns, std::string pack,
                       LeaseLength length, std::optional<Sampling> sampling) {
  const auto until = end_of(length);
  for (const auto& [id, lease] : leases_.all()) {
    if (lease.asker != asker || lease.patterns != patterns || lease.pack != pack ||
        lease.sampling != sampling)
      continue;
    leases_.set_until(id, until);
    return {id, until, false};
  }
  Lease lease;
  lease.id = environment_.journal->next_lease_id();
  lease.asker = asker;
  lease.patterns = std::move(patterns);
  lease.pack = std::move(pack);
  lease.since = BootClock::now();
  lease.until = until;
  lease.sampling = sampling;
  const auto id = lease.id;
  leases_.grant(std::move(lease));
  return {id, until, true};
}

/// Ends leases. What goes off by that, once it is reconciled, is told to `report`.
void Vm::end_leases(const std::vector<LeaseId>& ids, SwitchReport* report) {
  for (const auto id : ids) {
    const auto* lease = leases_.find(id);
    if (lease == nullptr) continue;
    const auto events = lease->events;
    const auto sampling = lease->sampling;
    leases_.end(id);
    if (report == nullptr) continue;
    report->ended.push_back(id);
    for (const auto event : events) {
      const auto state = leases_.at(event);
      if (state.holders.empty() && (state.on ? state.ours : sampling.has_value()))
        report->changed.push_back(events_.name(event));
    }
  }
}

/// True if there is something to reconcile by that.
bool Vm::end_leases_that_are_over() {
  end_plugin_level_if_over();
  const auto over = leases_.over(BootClock::now());
  if (over.empty()) return false;
  for (const auto id : over) {
    const auto* lease = leases_.find(id);
    spdlog::info("{}: lease={} is over what=\"{}\" by={}", name(), id, subject_of(*lease),
                 to_string(lease->asker));
    SwitchAnnotation switched(off_text(*lease));
    const auto pack = lease->pack;
    const auto how = "lease " + std::to_string(id) + " of " + lease->asker.user + " is over";
    SwitchReport report;
    end_leases({id}, &report);
    switched.add(name(), what_went_off(pack, report.changed));
    annotate(switched.finish(how));
  }
  write_journal_or_warn();
  return true;
}

/// Ends everything that anybody asked for.
void Vm::end_all_leases() {
  leases_.end_all();
  end_plugin_level("before qemond lets it go");
}

/// What was asked for cannot be done: as if it had not been asked for.
void Vm::give_up(const SwitchReport& report) {
  std::vector<LeaseId> granted;
  if (report.lease && report.lease->is_new) granted.push_back(report.lease->id);
  for (const auto& pack : report.packs)
    if (pack.lease && pack.lease->is_new) granted.push_back(pack.lease->id);
  end_leases(granted, nullptr);
}

}  // namespace qemon::daemon
