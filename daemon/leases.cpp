#include "daemon/leases.hpp"

#include <algorithm>

namespace qemon::daemon {
namespace {

bool wanted(const EventSwitch& state) {
  return !state.holders.empty() && !state.switched_off_by_others && !state.unavailable;
}

}  // namespace

const EventSwitch& Leases::at(trace::EventIndex event) const {
  static const EventSwitch unknown;
  return event < switches_.size() ? switches_[event] : unknown;
}

EventSwitch& Leases::slot(trace::EventIndex event) {
  if (event >= switches_.size()) switches_.resize(event + 1);
  return switches_[event];
}

void Leases::take(trace::EventIndex event, std::string_view holder) {
  auto& state = slot(event);
  state.switched_off_by_others = false;
  if (std::find(state.holders.begin(), state.holders.end(), holder) == state.holders.end()) {
    state.holders.emplace_back(holder);
  }
}

bool Leases::give_back(trace::EventIndex event, std::string_view holder) {
  auto& state = slot(event);
  if (std::erase(state.holders, holder) == 0) return false;
  if (state.holders.empty()) state.switched_off_by_others = false;
  return true;
}

void Leases::give_back_all() {
  for (auto& state : switches_) {
    state.holders.clear();
    state.switched_off_by_others = false;
  }
}

void Leases::forget_process() {
  for (auto& state : switches_) {
    state.on = state.ours = state.found_on = state.unavailable = state.switched_off_by_others =
        false;
  }
}

void Leases::found(trace::EventIndex event, bool on, bool unavailable) {
  auto& state = slot(event);
  state.on = state.found_on = on;
  state.ever_on |= on;
  state.unavailable = unavailable;
}

bool Leases::observe(trace::EventIndex event, bool on) {
  auto& state = slot(event);
  if (state.on == on) return false;
  state.on = on;
  state.found_on = on;
  state.ours = false;
  state.ever_on |= on;
  state.switched_off_by_others = !on && !state.holders.empty();
  return true;
}

void Leases::applied(trace::EventIndex event, bool on) {
  auto& state = slot(event);
  state.on = state.ours = on;
  state.ever_on |= on;
}

void Leases::refused(trace::EventIndex event) {
  auto& state = slot(event);
  state.holders.clear();
  state.ours = false;
}

std::vector<SwitchChange> Leases::changes() const {
  std::vector<SwitchChange> changes;
  for (trace::EventIndex event = 0; event < switches_.size(); ++event) {
    const auto& state = switches_[event];
    if (wanted(state) && !state.on) changes.push_back({event, true});
    if (!wanted(state) && state.on && state.ours) changes.push_back({event, false});
  }
  return changes;
}

std::size_t Leases::count_on() const {
  return static_cast<std::size_t>(
      std::count_if(switches_.begin(), switches_.end(), [](const auto& s) { return s.on; }));
}

std::size_t Leases::count_ours() const {
  return static_cast<std::size_t>(
      std::count_if(switches_.begin(), switches_.end(), [](const auto& s) { return s.ours; }));
}

std::size_t Leases::count_held() const {
  return static_cast<std::size_t>(std::count_if(switches_.begin(), switches_.end(),
                                                [](const auto& s) { return !s.holders.empty(); }));
}

bool Leases::any_wanted() const {
  return std::any_of(switches_.begin(), switches_.end(), wanted);
}

std::vector<trace::EventIndex> Leases::ours() const {
  std::vector<trace::EventIndex> events;
  for (trace::EventIndex event = 0; event < switches_.size(); ++event) {
    if (switches_[event].ours) events.push_back(event);
  }
  return events;
}

}  // namespace qemon::daemon
