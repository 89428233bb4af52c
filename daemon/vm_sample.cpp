// The part of Vm that samples events: switches them on for windows, and estimates from them.
#include <algorithm>

#include "daemon/vm.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

RecordsRead Vm::records_read(trace::EventIndex event) const {
  const auto& counters = engine_.counters();
  return {counters.count(event), counters.records(), counters.lost_events()};
}

/// Tells the sampler how each event is observed, after leases or switches have changed.
void Vm::update_sampling() {
  const auto now = Clock::now();
  auto events = leases_.sampled();
  const auto followed = sampler_.followed();
  events.insert(events.end(), followed.begin(), followed.end());
  for (const auto event : events) {
    const auto state = leases_.at(event);
    const auto sampling = leases_.sampling_of(event);
    const bool sampled = sampling && sampling->period.count() > 0 && (!state.on || state.ours);
    auto mode = Sampler::Mode::off;
    if (sampled) {
      mode = Sampler::Mode::sampled;
    } else if (state.on) {
      mode = Sampler::Mode::continuous;
    }
    if (!sampling && state.in_window) leases_.set_window(event, false);
    sampler_.follow(event, mode, sampling.value_or(Sampling()), state.on, records_read(event), now);
  }
}

/// Begins and ends windows whose time has come.
asio::awaitable<Result<void>> Vm::sample_if_due(qmp::Client& client) {
  const auto now = Clock::now();
  if (now < sampler_.next()) co_return Result<void>();
  auto turn = sampler_.turn(now);
  co_return co_await switch_windows(client, std::move(turn));
}

asio::awaitable<Result<void>> Vm::switch_windows(qmp::Client& client, Sampler::Turn turn) {
  for (const auto event : turn.open) leases_.set_window(event, true);
  for (const auto& closing : turn.close) leases_.set_window(closing.event, false);
  // What others switched on since the last window is not ours to switch off after this one.
  auto concerned = names_to_switch_on();
  auto refreshed = co_await refresh_states(client, std::move(concerned));
  if (!refreshed) co_return refreshed.error();
  // What came late is counted as it is.
  for (const auto event : turn.open)
    sampler_.settle(event, records_read(event), std::chrono::nanoseconds(0));
  auto applied = co_await apply_changes(client, nullptr);
  if (!applied) co_return applied.error();
  update_sampling();
  for (const auto& closing : turn.close)
    sampler_.settle(closing.event, records_read(closing.event), closing.stands_for);
  co_return Result<void>();
}

/// The session is about to end while QEMU goes on: nothing is left on that is sampled.
asio::awaitable<void> Vm::close_windows(qmp::Client& client) {
  if (!sampler_.any_open()) co_return;
  Sampler::Turn turn;
  turn.close = sampler_.close_all();
  const auto closed = co_await switch_windows(client, std::move(turn));
  if (!closed) note_failure(closed.error());
}

std::vector<Sampler::Estimate> Vm::estimates() const {
  return sampler_.estimates(
      [this](trace::EventIndex event) { return engine_.counters().count(event); }, Clock::now());
}

}  // namespace qemon::daemon
