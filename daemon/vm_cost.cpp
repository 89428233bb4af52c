// The part of Vm that measures what events cost.

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <iterator>
#include <random>

#include "daemon/event_pattern.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_request.hpp"
#include "qmp/error.hpp"
#include "qmp/trace_commands.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t cost_events_max = 50;
// As many with the event on and as many with it off.
constexpr int windows_each = 5;
// Before what was switched on for a measurement is given up: many times what it should take.
constexpr auto patience = 60s;

/// Pairs of a window with and one without, so that what changes slowly meets both alike; either
/// first, so that the guest cannot keep step.
std::vector<bool> shuffled_windows() {
  std::random_device random;
  std::vector<bool> order;
  for (int pair = 0; pair < windows_each; ++pair) {
    const bool first = random() % 2 == 0;
    order.push_back(first);
    order.push_back(!first);
  }
  return order;
}

EventCost not_measured(const std::string& event, std::string why) {
  EventCost cost;
  cost.event = event;
  cost.note = std::move(why);
  return cost;
}

Vm::CostRequest::Totals totals_of(const Vm& vm, trace::EventIndex event) {
  Vm::CostRequest::Totals totals;
  totals.records = vm.counters().count(event);
  totals.dropped = vm.counters().lost_events();
  totals.bytes = vm.trace_totals().bytes_read;
  if (vm.process()) totals.cpu_seconds = process_cpu_seconds(vm.process()->pid);
  totals.time = Clock::now();
  return totals;
}

}  // namespace

std::shared_ptr<Vm::CostRequest> Vm::ask_for_cost(std::vector<std::string> patterns, Asker asker,
                                                  std::chrono::milliseconds sample) {
  auto request = std::make_shared<CostRequest>(wake_timer_.get_executor());
  request->patterns = std::move(patterns);
  request->asker = std::move(asker);
  request->sample = sample;
  if (router_) request->report.backend = router_->backend();
  request->finished.expires_at(Clock::time_point::max());
  if (state_ != VmState::attached) {
    request->report.error = why_not_attached();
    request->done = true;
  } else if (config_.file) {
    request->report.error = "has no monitor, so its events cannot be switched to measure them";
    request->done = true;
  } else {
    cost_requests_.push_back(request);
    wake();
  }
  return request;
}

asio::awaitable<CostReport> Vm::measured(std::shared_ptr<CostRequest> request) {
  while (!request->done) co_await request->finished.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return std::move(request->report);
}

void Vm::refuse_cost(const std::string& why) {
  while (!cost_requests_.empty()) {
    const auto request = cost_requests_.front();
    cost_requests_.pop_front();
    if (request->lease) end_leases({*request->lease}, nullptr);
    if (!request->done) request->report.error = why;
    request->done = true;
    request->finished.cancel();
  }
}

Clock::time_point Vm::next_measuring() const {
  return cost_requests_.empty() ? Clock::time_point::max() : cost_requests_.front()->next;
}

bool Vm::measuring() const {
  return !cost_requests_.empty() && cost_requests_.front()->in_window;
}

/// One step of the measurement at the head of the queue, if it is due.
asio::awaitable<Result<void>> Vm::measure_if_due(qmp::Client& client) {
  if (Clock::now() < next_measuring()) co_return Result<void>();
  const auto request = cost_requests_.front();
  auto measured = co_await measure(client, *request);
  if (!measured) request->report.error = measured.error().detail;
  if (measured && request->at < request->events.size()) co_return measured;
  std::erase(cost_requests_, request);
  Result<void> put_back;
  if (request->lease) {
    end_leases({*request->lease}, nullptr);
    put_back = co_await reconcile(client, nullptr);
  }
  // Whoever asked finds everything as it was.
  request->done = true;
  request->finished.cancel();
  co_return measured ? put_back : measured;
}

asio::awaitable<Result<void>> Vm::measure(qmp::Client& client, CostRequest& request) {
  if (!request.begun) co_return co_await begin_measuring(client, request);
  const auto event = request.events.at(request.at);
  auto& cost = request.report.events.at(request.at);
  const bool ours = request.lease && leases_.find(*request.lease) != nullptr;
  const auto sampling = leases_.sampling_of(event);
  if (request.switches && (!ours || !sampling || sampling->period.count() != 0)) {
    cost.note = ours ? "was switched by somebody else meanwhile" : "its lease was ended meanwhile";
    if (ours) leases_.set_window(event, false);
    next_measured(request);
    co_return co_await reconcile(client, nullptr);
  }
  if (request.in_window) {
    auto ended = co_await end_window(client, request);
    if (!ended) co_return ended.error();
    if (request.windows.size() < request.order.size()) co_return Result<void>();
    compare_windows(request.windows, cost);
    next_measured(request);
    co_return Result<void>();
  }
  if (request.windows.empty()) {
    request.order = shuffled_windows();
    request.switches = !leases_.at(event).on;
    if (!request.switches) cost.note = "is on already: only its rate was measured";
  }
  co_return co_await begin_window(client, request);
}

void Vm::next_measured(CostRequest& request) {
  ++request.at;
  request.windows.clear();
  request.in_window = request.switches = false;
  request.next = Clock::now();
}

/// Finds the events, and takes a lease on those that are to be switched.
asio::awaitable<Result<void>> Vm::begin_measuring(qmp::Client& client, CostRequest& request) {
  auto concerned = request.patterns;
  auto refreshed = co_await refresh_states(client, std::move(concerned));
  if (!refreshed) co_return refreshed.error();
  std::vector<bool> matched(request.patterns.size());
  std::vector<EventCost> left_out;
  std::size_t to_switch = 0;
  for (trace::EventIndex event = 0; event < events_.size(); ++event) {
    bool wanted = false;
    for (std::size_t i = 0; i < request.patterns.size(); ++i) {
      if (!matches_event_pattern(request.patterns[i], events_.name(event))) continue;
      matched[i] = wanted = true;
    }
    const auto state = leases_.at(event);
    if (!wanted) continue;
    if (state.unavailable) {
      left_out.push_back(not_measured(events_.name(event), "is compiled out of this QEMU"));
      continue;
    }
    if (leases_.sampling_of(event)) {
      // Its windows would be in the way of ours.
      left_out.push_back(not_measured(
          events_.name(event), "is sampled: see qemu_trace_events_estimated_total, or end that"));
      continue;
    }
    request.events.push_back(event);
    if (!state.on) ++to_switch;
  }
  for (std::size_t i = 0; i < matched.size(); ++i)
    if (!matched[i]) request.report.unknown.push_back(request.patterns[i]);
  if (request.events.size() > cost_events_max) {
    Error too_many;
    too_many.detail = std::to_string(request.events.size()) + " events match, and at most " +
                      std::to_string(cost_events_max) + " are measured at a time: name fewer";
    request.events.clear();
    co_return too_many;
  }
  for (const auto event : request.events) {
    EventCost cost;
    cost.event = events_.name(event);
    request.report.events.push_back(std::move(cost));
  }
  // Behind those that `at` counts.
  left_out.resize(std::min(left_out.size(), cost_events_max));
  std::move(left_out.begin(), left_out.end(), std::back_inserter(request.report.events));
  request.begun = true;
  if (to_switch == 0) co_return Result<void>();
  const Sampling measured{request.sample, 0ms};
  const auto longest =
      request.sample * static_cast<std::int64_t>(request.events.size()) * windows_each * 2;
  auto granted = grant(request.asker, request.patterns, {}, longest * 3 + patience, measured);
  request.lease = granted.id;
  for (const auto event : request.events)
    if (!leases_.at(event).on) leases_.take(event, granted.id);
  // Writes the journal and leads the trace to us; nothing goes on by that.
  co_return co_await reconcile(client, nullptr);
}

asio::awaitable<Result<void>> Vm::begin_window(qmp::Client& client, CostRequest& request) {
  const auto event = request.events.at(request.at);
  auto caught_up = co_await catch_up(client);
  if (!caught_up) co_return caught_up.error();
  CostWindow window;
  window.on = request.switches && request.order.at(request.windows.size());
  if (window.on) {
    leases_.set_window(event, true);
    auto done = co_await switch_event(client, event, true);
    if (!done) {
      leases_.set_window(event, false);
      if (!qmp::is_refusal(done.error())) co_return done.error();
      request.report.events.at(request.at).note = done.error().detail;
      leases_.give_back(event, *request.lease);
      next_measured(request);
      co_return Result<void>();
    }
    leases_.applied(event, true);
  }
  request.windows.push_back(window);
  request.in_window = true;
  request.before = totals_of(*this, event);
  request.next = request.before.time + request.sample;
  co_return Result<void>();
}

asio::awaitable<Result<void>> Vm::end_window(qmp::Client& client, CostRequest& request) {
  const auto event = request.events.at(request.at);
  auto& window = request.windows.back();
  // The processor time without that of switching; everything else until the event is off.
  auto after = totals_of(*this, event);
  const std::chrono::duration<double> cpu_time = after.time - request.before.time;
  const bool cpu_known = after.cpu_seconds && request.before.cpu_seconds;
  if (window.on) {
    leases_.set_window(event, false);
    auto done = co_await switch_event(client, event, false);
    if (!done) co_return done.error();
    leases_.applied(event, false);
    after.time = Clock::now();
  }
  auto caught_up = co_await catch_up(client);
  if (!caught_up) co_return caught_up.error();
  if (window.on) engine_.event_switched(event);
  const auto read = totals_of(*this, event);
  window.seconds = std::chrono::duration<double>(after.time - request.before.time).count();
  window.records = read.records - request.before.records;
  window.bytes = read.bytes - request.before.bytes;
  window.dropped = read.dropped - request.before.dropped;
  if (cpu_known && cpu_time.count() > 0)
    window.cpu_seconds =
        (*after.cpu_seconds - *request.before.cpu_seconds) * window.seconds / cpu_time.count();
  request.in_window = false;
  request.next = Clock::now();
  co_return Result<void>();
}

/// The session is about to end while QEMU goes on.
asio::awaitable<void> Vm::abandon_measuring(qmp::Client& client) {
  if (cost_requests_.empty()) co_return;
  refuse_cost("the monitor was given to somebody else meanwhile");
  const auto put_back = co_await reconcile(client, nullptr);
  if (!put_back) note_failure(put_back.error());
}

}  // namespace qemon::daemon
