#include "daemon/leases.hpp"

#include <algorithm>
#include <utility>

namespace qemon::daemon {
namespace {

bool says_nothing(const EventSwitch& state) {
  return !state.on && !state.ours && !state.found_on && !state.switched_off_by_others &&
         state.tripped.empty() && !state.ever_on && !state.in_window && state.holders.empty();
}

}  // namespace

std::string to_string(const Asker& asker) {
  return asker.uid ? asker.user + "(" + std::to_string(*asker.uid) + ")" : asker.user;
}

std::string subject_of(const Lease& lease) {
  if (!lease.pack.empty()) return "pack " + lease.pack;
  std::string text;
  for (const auto& pattern : lease.patterns) text += (text.empty() ? "" : " ") + pattern;
  return text;
}

EventSwitch Leases::at(trace::EventIndex event) const {
  const auto found = switches_.find(event);
  auto state = found == switches_.end() ? EventSwitch() : found->second;
  state.unavailable = is_unavailable(event);
  return state;
}

/// Lets `how` change the event's switch, and keeps it only if it then says something.
template <typename Change>
void Leases::change(trace::EventIndex event, Change how) {
  const auto at = switches_.try_emplace(event).first;
  how(at->second);
  if (says_nothing(at->second)) switches_.erase(at);
}

void Leases::grant(Lease lease) {
  const auto id = lease.id;
  auto events = std::exchange(lease.events, {});
  leases_.insert_or_assign(id, std::move(lease));
  for (const auto event : events) take(event, id);
}

const Lease* Leases::find(LeaseId id) const {
  const auto found = leases_.find(id);
  return found == leases_.end() ? nullptr : &found->second;
}

void Leases::set_until(LeaseId id, std::optional<BootClock::time_point> until) {
  if (const auto lease = leases_.find(id); lease != leases_.end()) lease->second.until = until;
}

void Leases::take(trace::EventIndex event, LeaseId id) {
  const auto lease = leases_.find(id);
  if (lease == leases_.end()) return;
  const bool is_new = lease->second.events.insert(event).second;
  change(event, [&](EventSwitch& state) {
    state.switched_off_by_others = false;
    state.tripped.clear();
    if (is_new) state.holders.push_back(id);
  });
}

bool Leases::give_back(trace::EventIndex event, LeaseId id) {
  const auto lease = leases_.find(id);
  if (lease == leases_.end() || lease->second.events.erase(event) == 0) return false;
  change(event, [&](EventSwitch& state) {
    std::erase(state.holders, id);
    if (!state.holders.empty()) return;
    state.switched_off_by_others = false;
    state.tripped.clear();
  });
  return true;
}

void Leases::end(LeaseId id) {
  const auto lease = leases_.find(id);
  if (lease == leases_.end()) return;
  const auto events = lease->second.events;
  for (const auto event : events) give_back(event, id);
  leases_.erase(id);
}

void Leases::end_all() {
  while (!leases_.empty()) end(leases_.begin()->first);
}

void Leases::end_empty() {
  std::erase_if(leases_, [](const auto& each) {
    return each.second.pack.empty() && each.second.events.empty();
  });
}

std::vector<LeaseId> Leases::over(BootClock::time_point now) const {
  std::vector<LeaseId> ids;
  for (const auto& [id, lease] : leases_)
    if (lease.until && *lease.until <= now) ids.push_back(id);
  return ids;
}

std::optional<BootClock::time_point> Leases::next_end() const {
  std::optional<BootClock::time_point> next;
  for (const auto& [id, lease] : leases_)
    if (lease.until && (!next || *lease.until < *next)) next = lease.until;
  return next;
}

std::set<std::string> Leases::packs() const {
  std::set<std::string> packs;
  for (const auto& [id, lease] : leases_)
    if (!lease.pack.empty()) packs.insert(lease.pack);
  return packs;
}

void Leases::forget_process() {
  for (auto& [event, state] : switches_)
    state.on = state.ours = state.found_on = state.switched_off_by_others = state.in_window = false;
  std::erase_if(switches_, [](const auto& each) { return says_nothing(each.second); });
  unavailable_ = {};
}

void Leases::found(trace::EventIndex event, bool on, bool unavailable) {
  if (unavailable || is_unavailable(event)) {
    if (event >= unavailable_.size()) unavailable_.resize(event + 1);
    unavailable_[event] = unavailable;
  }
  if (!on && !switches_.contains(event)) return;
  change(event, [&](EventSwitch& state) {
    state.on = state.found_on = on;
    state.ever_on |= on;
  });
}

void Leases::found_ours(trace::EventIndex event) {
  change(event, [](EventSwitch& state) {
    if (!state.on) return;
    state.ours = true;
    state.found_on = false;
  });
}

void Leases::found_off_by_others(trace::EventIndex event) {
  change(event, [](EventSwitch& state) {
    if (!state.on && !state.holders.empty()) state.switched_off_by_others = true;
  });
}

bool Leases::observe(trace::EventIndex event, bool on) {
  const auto known = switches_.find(event);
  if ((known != switches_.end() && known->second.on) == on) return false;
  // A sampled event is off most of the time anyway.
  const bool wanted_on = !on && wanted(event, at(event));
  change(event, [&](EventSwitch& state) {
    state.on = on;
    state.found_on = on;
    state.ours = false;
    state.ever_on |= on;
    state.switched_off_by_others = wanted_on;
  });
  return true;
}

void Leases::applied(trace::EventIndex event, bool on) {
  change(event, [&](EventSwitch& state) {
    state.on = state.ours = on;
    state.ever_on |= on;
  });
}

void Leases::trip(trace::EventIndex event, const std::string& why) {
  change(event, [&](EventSwitch& state) {
    if (!state.holders.empty()) state.tripped = why;
  });
}

void Leases::refused(trace::EventIndex event) {
  const auto holders = at(event).holders;
  for (const auto id : holders) give_back(event, id);
  change(event, [](EventSwitch& state) { state.ours = false; });
}

void Leases::set_window(trace::EventIndex event, bool open) {
  change(event, [&](EventSwitch& state) { state.in_window = open; });
}

std::optional<Sampling> Leases::sampling_of(const EventSwitch& state) const {
  std::optional<Sampling> most;
  for (const auto id : state.holders) {
    const auto& sampling = leases_.at(id).sampling;
    if (!sampling) return std::nullopt;
    // One that measures takes turns of its own with an event that nobody else has.
    if (!most || sampling->period.count() == 0 || sampling->share() > most->share())
      most = sampling;
  }
  return most;
}

std::optional<Sampling> Leases::sampling_of(trace::EventIndex event) const {
  const auto found = switches_.find(event);
  if (found == switches_.end() || !held(event, found->second)) return std::nullopt;
  return sampling_of(found->second);
}

std::vector<trace::EventIndex> Leases::sampled() const {
  std::vector<trace::EventIndex> events;
  for (const auto& [event, state] : switches_)
    if (held(event, state) && sampling_of(state)) events.push_back(event);
  return events;
}

/// Somebody wants it, all the time or sampled.
bool Leases::held(trace::EventIndex event, const EventSwitch& state) const {
  return !state.holders.empty() && !state.switched_off_by_others && state.tripped.empty() &&
         !is_unavailable(event);
}

/// It is to be on now.
bool Leases::wanted(trace::EventIndex event, const EventSwitch& state) const {
  return held(event, state) && (state.in_window || !sampling_of(state));
}

std::vector<SwitchChange> Leases::changes() const {
  std::vector<SwitchChange> changes;
  for (const auto& [event, state] : switches_) {
    const bool on = wanted(event, state);
    if (on && !state.on) changes.push_back({event, true});
    if (!on && state.on && state.ours) changes.push_back({event, false});
  }
  return changes;
}

template <typename Predicate>
std::vector<trace::EventIndex> Leases::events_that(Predicate predicate) const {
  std::vector<trace::EventIndex> events;
  for (const auto& [event, state] : switches_)
    if (predicate(state)) events.push_back(event);
  return events;
}

std::size_t Leases::count_on() const {
  return events_that([](const EventSwitch& state) { return state.on; }).size();
}

std::size_t Leases::count_ours() const {
  return ours().size();
}

std::size_t Leases::count_held() const {
  return events_that([](const EventSwitch& state) { return !state.holders.empty(); }).size();
}

bool Leases::any_wanted() const {
  return std::any_of(switches_.begin(), switches_.end(),
                     [&](const auto& each) { return held(each.first, each.second); });
}

std::vector<trace::EventIndex> Leases::ours() const {
  return events_that([](const EventSwitch& state) { return state.ours; });
}

std::vector<trace::EventIndex> Leases::off_by_others() const {
  return events_that([](const EventSwitch& state) { return state.switched_off_by_others; });
}

std::vector<trace::EventIndex> Leases::tripped() const {
  return events_that([](const EventSwitch& state) { return !state.tripped.empty(); });
}

std::vector<trace::EventIndex> Leases::on() const {
  return events_that([](const EventSwitch& state) { return state.on; });
}

}  // namespace qemon::daemon
