#include "daemon/sampler.hpp"

#include <algorithm>
#include <utility>

namespace qemon::daemon {

using std::chrono::nanoseconds;

void Sampler::follow(trace::EventIndex event, Mode mode, Sampling sampling, bool on,
                     const RecordsRead& read, Time now) {
  if (mode != Mode::sampled && !followed_.contains(event)) return;
  const auto [at, is_new] = followed_.try_emplace(event);
  auto& followed = at->second;
  if (is_new) followed.settled = read;
  switched(event, on, now);
  if (followed.mode == mode && (mode != Mode::sampled || followed.sampling == sampling)) return;
  leave(event, followed, read);
  followed.mode = mode;
  if (mode != Mode::sampled) return;
  followed.sampling = sampling;
  const auto [group, is_first] = groups_.try_emplace(sampling);
  if (is_first) begin(group->second, sampling.period, now);
  group->second.events.insert(event);
}

/// Ends the present way of observing.
void Sampler::leave(trace::EventIndex event, Followed& followed, const RecordsRead& read) {
  nanoseconds stands_for = followed.seen;
  if (followed.mode == Mode::sampled) {
    // A window that was hardly begun says too little to stand for more than itself.
    if (followed.in_window && followed.seen * 2 >= followed.sampling.on)
      stands_for = followed.sampling.period;
    followed.in_window = false;
    const auto group = groups_.find(followed.sampling);
    group->second.events.erase(event);
    if (group->second.events.empty()) groups_.erase(group);
  }
  settle(followed, read, stands_for);
}

void Sampler::switched(trace::EventIndex event, bool on, Time now) {
  const auto at = followed_.find(event);
  if (at == followed_.end() || at->second.on == on) return;
  auto& followed = at->second;
  followed.on = on;
  if (on) {
    followed.on_since = now;
    // It lasts as long as it is to last from the answer on. Otherwise a window whose answer came
    // late, because this host was busy, would seem to be much shorter than it was, and what was
    // counted in it would stand for far too much.
    if (followed.in_window) {
      auto& group = groups_.at(followed.sampling);
      group.window_end = std::max(group.window_end, now + followed.sampling.on);
    }
    return;
  }
  const auto length = std::max(now - followed.on_since, Clock::duration(0));
  followed.seen += length;
  followed.observed += length;
}

void Sampler::begin(Group& group, std::chrono::milliseconds period, Time now) {
  group.period_begin = now - period;
  group.periods = 0;
  next_period(group, period);
}

void Sampler::next_period(Group& group, std::chrono::milliseconds period) {
  group.period_begin += period;
  group.window_begin = group.period_begin +
                       std::chrono::duration_cast<Clock::duration>(random_() * nanoseconds(period));
}

Sampler::Turn Sampler::turn(Time now) {
  Turn turn;
  for (auto& [sampling, group] : groups_) {
    // The next window may begin before this one is over; then they are one.
    while (group.open && now >= group.window_end && now >= group.window_begin) {
      group.window_end = group.window_begin + sampling.on;
      ++group.periods;
      next_period(group, sampling.period);
    }
    if (group.open && now >= group.window_end) {
      auto closing = close(sampling, group);
      turn.close.insert(turn.close.end(), closing.begin(), closing.end());
    } else if (!group.open && now >= group.window_begin) {
      // Of periods that passed unseen, because the monitor or this host stood still, this window
      // tells as well.
      do {
        ++group.periods;
        next_period(group, sampling.period);
      } while (now >= group.window_begin);
      group.open = true;
      group.window_end = now + sampling.on;
      for (const auto event : group.events) {
        followed_.at(event).in_window = true;
        turn.open.push_back(event);
      }
    }
  }
  return turn;
}

std::vector<Sampler::Closing> Sampler::close(const Sampling& sampling, Group& group) {
  std::vector<Closing> closing;
  for (const auto event : group.events) {
    // Those that came to the group while the window was open wait for the next one.
    if (std::exchange(followed_.at(event).in_window, false))
      closing.push_back({event, group.periods * nanoseconds(sampling.period)});
  }
  group.open = false;
  group.periods = 0;
  return closing;
}

std::vector<Sampler::Closing> Sampler::close_all() {
  std::vector<Closing> closing;
  for (auto& [sampling, group] : groups_) {
    if (!group.open) continue;
    const auto of_group = close(sampling, group);
    closing.insert(closing.end(), of_group.begin(), of_group.end());
  }
  return closing;
}

void Sampler::settle(trace::EventIndex event, const RecordsRead& read, nanoseconds stands_for) {
  if (const auto at = followed_.find(event); at != followed_.end())
    settle(at->second, read, stands_for);
}

void Sampler::settle(Followed& followed, const RecordsRead& read, nanoseconds stands_for) {
  const auto before = std::exchange(followed.settled, read);
  const auto counted = static_cast<double>(read.of_event - before.of_event);
  const auto all = static_cast<double>(read.of_all - before.of_all);
  const auto dropped = static_cast<double>(read.dropped - before.dropped);
  const auto seen = std::exchange(followed.seen, nanoseconds(0));
  // Seen for longer than it is to stand for: then what was counted is all there was.
  const double factor =
      seen.count() > 0 && stands_for > seen
          ? static_cast<double>(stands_for.count()) / static_cast<double>(seen.count())
          : 1.0;
  if (counted > 0) followed.estimated += counted * (1 + dropped / all) * factor;
}

void Sampler::resume(Time now) {
  for (auto& [sampling, group] : groups_)
    if (!group.open) begin(group, sampling.period, now);
}

Sampler::Time Sampler::next() const {
  auto next = Time::max();
  for (const auto& [sampling, group] : groups_)
    next = std::min(next, group.open ? group.window_end : group.window_begin);
  return next;
}

bool Sampler::closes_before(Time time) const {
  return std::any_of(groups_.begin(), groups_.end(), [&](const auto& each) {
    return each.second.open && each.second.window_end < time;
  });
}

bool Sampler::any_open() const {
  return closes_before(Time::max());
}

std::vector<Sampler::Estimate> Sampler::estimates(
    const std::function<std::uint64_t(trace::EventIndex)>& count, Time now) const {
  std::vector<Estimate> estimates;
  estimates.reserve(followed_.size());
  for (const auto& [event, followed] : followed_) {
    Estimate estimate{event, followed.estimated, 0};
    if (followed.mode == Mode::continuous)
      estimate.total += static_cast<double>(count(event) - followed.settled.of_event);
    auto observed = followed.observed;
    if (followed.on) observed += std::max(now - followed.on_since, Clock::duration(0));
    estimate.observed_seconds = std::chrono::duration<double>(observed).count();
    estimates.push_back(estimate);
  }
  return estimates;
}

std::vector<trace::EventIndex> Sampler::followed() const {
  std::vector<trace::EventIndex> events;
  events.reserve(followed_.size());
  for (const auto& [event, followed] : followed_) events.push_back(event);
  return events;
}

}  // namespace qemon::daemon
