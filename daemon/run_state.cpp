#include "daemon/run_state.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace {

// RunState of QEMU's qapi/run-state.json, 6.2 to 11.
constexpr std::array<std::string_view, 17> states{
    "debug",     "inmigrate",      "internal-error", "io-error", "paused",  "postmigrate",
    "prelaunch", "finish-migrate", "restore-vm",     "running",  "save-vm", "shutdown",
    "suspended", "watchdog",       "guest-panicked", "colo",     "other"};

}  // namespace

void RunStateClock::changed(std::string_view state, Time now) {
  lost(now);
  const auto known = std::find(states.begin(), states.end() - 1, state);
  current_ = static_cast<std::size_t>(known - states.begin());
  since_ = now;
  seen_ = true;
}

void RunStateClock::lost(Time now) {
  if (current_ && now > since_) spent_[*current_] += now - since_;
  current_.reset();
}

Figures RunStateClock::figures(Time now) const {
  static_assert(states.size() == states_count);
  auto state = exporters::gauge_family("qemu_run_state", "1 for the state that the VM is in.");
  if (current_) {
    add_state_set(state, {}, std::span(states).first(states_count - 1), states[*current_]);
  }
  auto seconds = exporters::counter_family("qemu_run_state_seconds_total",
                                           "Time that the VM was seen to be in each state.");
  for (std::size_t i = 0; seen_ && i < states_count; ++i) {
    auto spent = spent_[i];
    if (current_ == i && now > since_) spent += now - since_;
    const bool worth_a_series = i + 1 < states_count || spent.count() > 0;
    if (!worth_a_series) continue;
    exporters::add_sample(seconds, {{"state", states[i]}},
                          std::chrono::duration<double>(spent).count());
  }
  Figures figures;
  add_family(figures, std::move(state));
  add_family(figures, std::move(seconds));
  return figures;
}

}  // namespace qemon::daemon
