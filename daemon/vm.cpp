#include "daemon/vm.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <ctime>
#include <random>

#include "daemon/event_pattern.hpp"
#include "daemon/put_back.hpp"
#include "daemon/vm_request.hpp"
#include "qmp/error.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto backoff_first = 100ms;
// A QEMU that is gone for long is looked for less often, but one on this host's socket costs next
// to nothing to look for, and its first seconds are worth having.
constexpr auto backoff_max_local = 2s;
constexpr auto backoff_max_remote = 30s;
// A session that ended sooner was not a good one: attaching costs both sides some work, which a
// monitor that fails again and again is not to cause all the time.
constexpr auto good_session = 10s;
// How often a trace file is looked at. A quarter of the 250 ms within which a record is to be in
// /metrics.
constexpr auto feed_interval = 60ms;

// While a window lasts that is over before this, the monitor is left to it.
constexpr auto short_window = 100ms;
// But not for longer than this; so it is also while events are measured.
constexpr auto disturb_at_last = 300ms;

}  // namespace

std::string_view to_string(VmState state) {
  switch (state) {
    case VmState::connecting:
      return "connecting";
    case VmState::attached:
      return "attached";
    case VmState::busy:
      return "busy";
    case VmState::released:
      return "released";
    case VmState::unreachable:
      return "unreachable";
  }
  return "unknown";
}

Vm::Vm(asio::any_io_executor executor, VmConfig config, std::string name,
       VmEnvironment& environment)
    : config_(std::move(config)),
      name_(std::move(name)),
      environment_(environment),
      wake_timer_(executor),
      feed_timer_(executor),
      backoff_(backoff_first),
      collectors_(environment.texts, [this] { return write_journal(); }),
      sampler_([engine = std::mt19937_64(std::random_device()())]() mutable {
        return std::generate_canonical<double, 53>(engine);
      }) {
  collectors_.set_vm(name_);
}

Vm::~Vm() = default;

asio::awaitable<void> Vm::run() {
  while (!stopping_ && config_.file) co_await attend_file();
  if (config_.file && journaled_) put_file_back();
  while (!stopping_) {
    co_await attempt();
    if (stopping_) break;
    refuse_requests(reason_.empty() ? "is not attached" : reason_);
    if (state_ == VmState::released) {
      while (!stopping_ && Clock::now() < released_until_) {
        co_await wait(std::min(released_until_, next_lease_end_here()));
        end_leases_that_are_over();
      }
      continue;
    }
    const bool cheap_to_look_for = qmp::is_on_this_host(config_.endpoint) && !met_somebody_;
    const std::chrono::milliseconds longest =
        cheap_to_look_for ? backoff_max_local : backoff_max_remote;
    const auto until = Clock::now() + backoff_;
    backoff_ = std::min(backoff_ * 2, longest);
    while (!stopping_ && Clock::now() < until && state_ != VmState::released) co_await wait(until);
  }
  refuse_requests("qemond is stopping");
  // Left while the monitor was not ours: one more try to put things back.
  end_all_leases();
  const bool alive = journaled_ ? may_be_alive(*journaled_) : !process_ || is_alive(*process_);
  if (alive && !config_.file && journal_entry().changed_qemu()) co_await attempt();
  if (!alive) {
    journaled_.reset();
    co_await end_process();
  } else if (router_) {
    // What is read on this host is let go even if the monitor could not be told.
    co_await router_->end(environment_.read_buffer);
  }
  write_journal_or_warn();
  for (const auto event : leases_.ours()) {
    spdlog::error("{}: left on, because the monitor could not be reached: event={} reason=\"{}\"",
                  name(), events_.name(event), reason_);
  }
  set_state(VmState::unreachable, "qemond has stopped");
  feed_timer_.cancel();
}

/// One attempt at a session, from connecting to its end.
asio::awaitable<void> Vm::attempt() {
  end_leases_that_are_over();
  if (state_ != VmState::busy && state_ != VmState::unreachable) set_state(VmState::connecting, {});
  qmp::ClientOptions options;
  if (stopping_) options.handshake_deadline = 2s;
  auto connected =
      co_await qmp::Client::connect(wake_timer_.get_executor(), config_.endpoint, options);
  if (!connected) {
    const auto& error = connected.error();
    const bool busy = error.code == qmp::errc::busy;
    met_somebody_ = error.code == qmp::errc::protocol;
    if (router_ && process_ && !is_alive(*process_)) co_await end_process();
    if (journaled_ && !may_be_alive(*journaled_)) {
      journaled_.reset();
      write_journal_or_warn();
    }
    if (state_ != VmState::released)
      set_state(busy ? VmState::busy : VmState::unreachable, error.detail);
    settled_ = true;
    co_return;
  }
  auto client = std::move(*connected);
  const auto began = Clock::now();
  client->on_event([this](const qmp::Event& event) { on_qmp_event(event); });
  client->on_round_trip([this](std::chrono::nanoseconds time) {
    // A VM that is leaving has been forgotten, and would be remembered again.
    if (!stopping_) environment_.on_round_trip(name(), time);
  });
  session_ended_ = false;
  asio::co_spawn(wake_timer_.get_executor(), client->run(),
                 [this](std::exception_ptr failure, Error reason) {
                   if (failure) std::rethrow_exception(failure);
                   session_ended_ = true;
                   session_end_ = std::move(reason.detail);
                   answering_ = false;
                   wake();
                 });
  co_await serve(*client);
  client->close();
  while (!session_ended_) co_await wait(Clock::now() + 1s);
  answering_ = false;
  met_somebody_ = Clock::now() - began < good_session;
  if (!met_somebody_) backoff_ = backoff_first;
  if (state_ == VmState::attached)
    set_state(VmState::unreachable, "session ended: " + session_end_);
  settled_ = true;
}

/// Everything that is done while a session lasts.
asio::awaitable<void> Vm::serve(qmp::Client& client) {
  auto attached = co_await attach(client);
  if (!attached) {
    if (state_ != VmState::released) set_state(VmState::unreachable, attached.error().detail);
    co_return;
  }
  // Whoever sees that it is attached may rely on the leases being in force again.
  Result<void> going = co_await reconcile(client, nullptr);
  if (!going) note_failure(going.error());
  // Asked for meanwhile.
  if (state_ == VmState::released) co_return;
  ++monitor_totals_.sessions;
  answering_ = true;
  settled_ = true;
  set_state(VmState::attached, {});
  next_poll_time_ = Clock::now() + 1s;
  sampler_.resume(Clock::now());
  auto collecting = co_await begin_collecting(client);
  if (!collecting) note_failure(collecting.error());
  while (state_ == VmState::attached && !stopping_ && !session_ended_) {
    co_await answer_requests(client);
    const bool has_tripped = std::exchange(has_tripped_, false);
    if (end_leases_that_are_over() || has_tripped) {
      going = co_await reconcile(client, nullptr);
      if (!going) note_failure(going.error());
    }
    going = co_await sample_if_due(client);
    if (!going) note_failure(going.error());
    going = co_await measure_if_due(client);
    if (!going) note_failure(going.error());
    const auto now = Clock::now();
    const bool undisturbed = sampler_.closes_before(now + short_window) || measuring();
    if (undisturbed && now < next_poll_time_ + disturb_at_last) {
      // What else there is to ask would make the window longer than it is to be.
      if (requests_.empty() && !session_ended_ && !stopping_ && state_ == VmState::attached)
        co_await wait(std::min(sampler_.next(), next_measuring()));
      continue;
    }
    going = co_await flush_if_due(client);
    if (!going) note_failure(going.error());
    going = co_await poll_if_due(client);
    if (!going) note_failure(going.error());
    if (answering_) {
      going = co_await collectors_.poll_one(&client, *identity_, process_);
      if (!going && !session_ended_) note_failure(going.error());
    }
    if (!requests_.empty() || session_ended_ || stopping_ || state_ != VmState::attached) continue;
    auto next = std::min(next_poll_time_, next_flush_time_);
    if (answering_) next = std::min(next, collectors_.next_due());
    next = std::min({next, next_lease_end_here(), sampler_.next(), next_measuring()});
    co_await wait(next);
  }
  if (!session_ended_ && !stopping_) co_await abandon_measuring(client);
  if (!session_ended_ && !stopping_) co_await close_windows(client);
  const bool works = !session_ended_ && answering_;
  if (works) co_await collectors_.finish(&client, *identity_, process_);
  collectors_.end_session();
  run_state_clock_.lost(Clock::now());
  if (stopping_ && !session_ended_) co_await restore(client);
}

asio::awaitable<void> Vm::follow_trace() {
  while (!stopping_ || state_ == VmState::attached) {
    const bool more = router_ && router_->pump(environment_.read_buffer);
    watch_trace();
    if (more) {
      co_await asio::post(feed_timer_.get_executor(), asio::use_awaitable);
      continue;
    }
    // Whoever begins to follow something, or switches the first event on, cancels the wait.
    if (!router_ || !router_->reading()) {
      feed_timer_.expires_at(Clock::time_point::max());
    } else {
      const bool something_on =
          leases_.count_on() > 0 || router_->lag_bytes() > 0 || config_.file.has_value();
      feed_timer_.expires_after(something_on ? std::chrono::milliseconds(feed_interval) : 500ms);
    }
    co_await feed_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

/// When the next lease is over, by the clock of the timers. That one stands still while the host
/// sleeps, so a lease that was over meanwhile is seen at the next poll.
Clock::time_point Vm::next_lease_end_here() const {
  auto end = leases_.next_end();
  const auto& level = collectors_.changed().plugin_level;
  if (level && level->until && (!end || *level->until < *end)) end = level->until;
  if (!end) return Clock::time_point::max();
  // A millisecond more, since clocks are compared that are not read at one time.
  return Clock::now() + std::max(*end - BootClock::now(), BootClock::duration(0)) + 1ms;
}

void Vm::stop() {
  stopping_ = true;
  wake();
}

void Vm::release(std::chrono::milliseconds duration) {
  released_until_ = Clock::now() + duration;
  set_state(VmState::released, "released for another client");
  wake();
}

std::string Vm::qemu_version() const {
  if (!identity_) return {};
  const auto& v = identity_->version;
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.micro);
}

std::optional<double> Vm::released_for_seconds() const {
  if (state_ != VmState::released) return std::nullopt;
  return std::max(0.0, std::chrono::duration<double>(released_until_ - Clock::now()).count());
}

trace::FeedTotals Vm::trace_totals() const {
  auto totals = retired_totals_;
  if (router_) totals += router_->totals();
  return totals;
}

std::vector<std::string> Vm::degraded() const {
  std::vector<std::string> lines;
  if (state_ == VmState::attached && !answering_) lines.push_back(reason_);
  if (!process_problem_.empty()) lines.push_back(process_problem_);
  if (!catalog_.problem.empty()) lines.push_back(catalog_.problem);
  for (const auto event : leases_.tripped())
    lines.push_back(events_.name(event) +
                    " is off until it is asked for again: " + leases_.at(event).tripped);
  if (const auto& exceeded = budget_.exceeded_by_others(); !exceeded.empty())
    lines.push_back("events that others switched on exceed its budget: " + exceeded);
  for (auto& problem : collectors_.problems()) lines.push_back(std::move(problem));
  if (!router_) return lines;
  for (auto& problem : router_->problems()) lines.push_back(std::move(problem));
  if (const auto mismatches = router_->totals().mismatches; mismatches > 0) {
    lines.push_back(std::to_string(mismatches) + " records do not fit " + catalog_.path +
                    ": it is of another QEMU; their events are counted by name only");
  }
  return lines;
}

std::vector<std::string> Vm::unknown() const {
  std::vector<std::string> lines;
  if (router_) lines = router_->unknown();
  if (config_.file && is_up() && router_ && router_->following() &&
      router_->backend() != "exec-log")
    lines.emplace_back("which events are on, but for those that records have come of");
  if (plugin_path()) lines.emplace_back("when what the plugin counts happened: it has no times");
  return lines;
}

std::vector<EventRow> Vm::list_events(const std::string& pattern, bool enabled_only) const {
  std::vector<EventRow> rows;
  // Before the first session there are only those that the journal names.
  if (known_events_ == 0) return rows;
  for (trace::EventIndex event = 0; event < events_.size(); ++event) {
    const auto& state = leases_.at(event);
    const auto sampling = leases_.sampling_of(event);
    if (enabled_only && !state.on && !sampling) continue;
    if (!pattern.empty() && !matches_event_pattern(pattern, events_.name(event))) continue;
    rows.push_back({events_.name(event), state, engine_.counters().count(event), sampling});
  }
  std::sort(rows.begin(), rows.end(),
            [](const EventRow& a, const EventRow& b) { return a.name < b.name; });
  return rows;
}

asio::awaitable<void> Vm::wait(Clock::time_point until) {
  if (!wake_requested_) {
    wake_timer_.expires_at(until);
    co_await wake_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  wake_requested_ = false;
}

void Vm::wake() {
  wake_requested_ = true;
  wake_timer_.cancel();
}

void Vm::run_state_is(std::string state) {
  run_state_ = std::move(state);
  run_state_clock_.changed(run_state_, Clock::now());
}

void Vm::set_name(std::string name) {
  name_ = std::move(name);
  collectors_.set_vm(name_);
}

void Vm::set_state(VmState state, std::string reason) {
  if (state == state_ && reason == reason_) return;
  if (state == VmState::attached) {
    spdlog::info("{}: attached qemu={} backend={} address={}", name(), qemu_version(),
                 router_ ? router_->backend() : "?", address());
  } else if (state != VmState::connecting && !stopping_) {
    spdlog::info("{}: {} reason=\"{}\"", name(), to_string(state), reason);
  }
  state_ = state;
  reason_ = std::move(reason);
}

/// A monitor command failed. True if the session can go on: a VM whose main loop is blocked is not
/// gone.
bool Vm::note_failure(const Error& error) {
  if (error.code != qmp::errc::timed_out) {
    spdlog::debug("{}: {}", name(), error.detail);
    return true;
  }
  ++monitor_totals_.timeouts;
  collectors_.doubt();
  run_state_clock_.lost(Clock::now());
  if (answering_)
    spdlog::warn("{}: the monitor does not answer command=\"{}\"", name(), error.detail);
  answering_ = false;
  if (state_ == VmState::attached) reason_ = "the monitor does not answer: " + error.detail;
  return true;
}

}  // namespace qemon::daemon
