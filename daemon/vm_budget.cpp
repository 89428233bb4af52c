// The part of Vm that keeps its trace within its budget and its space, and knows what was lost.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <ctime>

#include "base/text.hpp"
#include "daemon/annotation.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto watch_interval = 250ms;

std::int64_t nanoseconds_now(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

std::optional<double> Vm::lag_seconds() const {
  if (!router_ || !router_->following()) return std::nullopt;
  if (router_->lag_bytes() == 0) return 0.0;
  const auto last = engine_.counters().last_time_ns();
  if (!last || !router_->timestamps().value_or(false)) return std::nullopt;
  const auto now = nanoseconds_now(router_->clock());
  return std::max(0.0, static_cast<double>(now - *last) * 1e-9);
}

/// After each look at the trace.
void Vm::watch_trace() {
  if (!router_) return;
  enforce_trace_space();
  const auto now = Clock::now();
  if (now < next_watch_time_) return;
  next_watch_time_ = now + watch_interval;
  if (!router_->following() || leases_.count_on() == 0) {
    budget_.restart();
    completeness_.stop();
    return;
  }
  if (router_->look_for_room()) {
    if (router_->is_full()) {
      spdlog::warn("{}: the file system of its trace is full path={}", name(), router_->path());
    } else {
      spdlog::info("{}: the file system of its trace has room again", name());
      wake();  // For the next flush.
    }
  }
  // QEMU does not say what it could not write.
  completeness_.tick(now, losses(), router_->is_full());
  // What others have on in a QEMU that cannot be told anything needs no watching over.
  if (config_.file) return;
  budget_.set_limits(budget_limits());
  // What was just found to be too much is to be off before anything is measured again.
  if (any_tripped_still_on()) return budget_.restart();
  trip(budget_.tick(budget_sample(now)));
}

BudgetSample Vm::budget_sample(Clock::time_point now) const {
  const auto totals = trace_totals();
  BudgetSample sample;
  sample.time = now;
  sample.records = totals.decoder.records;
  sample.bytes = totals.bytes_read;
  sample.drops = totals.decoder.dropped_events;
  sample.lag_seconds = lag_seconds();
  for (const auto event : leases_.on())
    sample.events.push_back({event, engine_.counters().count(event), leases_.at(event).ours});
  return sample;
}

/// Marks events that are too much; the session switches them off next.
void Vm::trip(const std::vector<Trip>& trips) {
  if (trips.empty()) return;
  std::vector<std::string> names;
  for (const auto& [event, why] : trips) {
    leases_.trip(event, why);
    ++trips_[event];
    names.push_back(events_.name(event));
    spdlog::warn("{}: event={} is switched off until it is asked for again reason=\"{}\"", name(),
                 events_.name(event), why);
  }
  Annotation annotation;
  annotation.begin = std::chrono::system_clock::now();
  annotation.vm = name();
  annotation.kind = "budget";
  annotation.text =
      "events off until asked for again: " + shortened(names) + ": " + trips.front().why;
  annotate(std::move(annotation));
  write_journal_or_warn();
  has_tripped_ = true;
  wake();
}

bool Vm::any_tripped_still_on() const {
  const auto tripped = leases_.tripped();
  return std::any_of(tripped.begin(), tripped.end(),
                     [this](trace::EventIndex event) { return leases_.at(event).ours; });
}

/// Our events make a log of the user's grow, and a file of ours that is read too slowly: both have
/// an end. Before it, all go off that make records at all; at it, all.
void Vm::enforce_trace_space() {
  if (config_.file || !leases_.any_wanted() || !router_->following()) return;
  const auto limit = environment_.trace_space_bytes;
  const bool in_place = !router_->redirected();
  if (in_place) {
    const auto size = router_->size_bytes();
    // Truncated by its owner, or not seen before.
    if (size < size_when_switched_on_.value_or(size + 1)) size_when_switched_on_ = size;
  }
  const auto used = trace_space_used().value_or(0);
  // A file of ours goes on growing until QEMU has been told.
  if (used < (in_place ? limit : limit / 4 * 3)) return;
  const auto why = (in_place ? "the log " + router_->path() + " grew by " : "the trace file had ") +
                   grouped(static_cast<double>(used)) + " bytes, with a limit of " +
                   grouped(static_cast<double>(limit)) + " (--trace-space)";
  std::vector<Trip> trips;
  for (const auto event : leases_.ours())
    if (leases_.at(event).tripped.empty()) trips.push_back({event, why});
  trip(trips);
}

std::optional<std::uint64_t> Vm::trace_space_used() const {
  if (!router_ || !router_->following() || !leases_.any_wanted()) return std::nullopt;
  if (router_->redirected()) return std::max(router_->allocated_bytes(), router_->lag_bytes());
  const auto size = router_->size_bytes();
  return size - std::min(size, size_when_switched_on_.value_or(size));
}

std::optional<bool> Vm::trace_file_system_full() const {
  if (!router_ || !router_->following() || leases_.count_on() == 0) return std::nullopt;
  return router_->is_full();
}

std::uint64_t Vm::losses() const {
  const auto totals = trace_totals();
  auto losses = totals.decoder.dropped_events + totals.decoder.resyncs + totals.decoder.lost_bytes +
                totals.restarts + totals.read_errors;
  for (const auto reason : {trace::DecodeError::bad_record, trace::DecodeError::unknown_event,
                            trace::DecodeError::overlong_line})
    losses += totals.decoder.errors[static_cast<std::size_t>(reason)];
  return losses;
}

BudgetLimits Vm::budget_limits() const {
  return daemon::budget_limits(settings_.budget, router_ && router_->is_simple());
}

std::optional<double> Vm::complete_ratio() const {
  return completeness_.ratio(Clock::now());
}

}  // namespace qemon::daemon
