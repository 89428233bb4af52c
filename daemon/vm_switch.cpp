// The part of Vm that switches events: requests, reconciling, polling, and putting everything back.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <tuple>

#include "daemon/switch_annotation.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_request.hpp"
#include "qmp/error.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// A request waits for at most this long: a few command deadlines.
constexpr auto request_deadline = 20s;
// How often all events are looked at, to notice what others switch. One look costs QEMU's main
// loop, which is the guest's as well, 5 ms (measured on 7.2 and 10.0). While nothing is on there is
// nothing to lose by being late: what we are about to switch is looked at before.
constexpr auto look_interval = 4s;
constexpr auto look_interval_idle = 30s;
constexpr auto default_poll_interval = 1s;
// `simple` QEMUs write by themselves only what exceeds 64 KiB (TRACE_BUF_FLUSH_THRESHOLD in
// trace/simple.c). With the read interval of the feed this keeps a record's way to /metrics under
// 250 ms.
constexpr auto flush_interval = 100ms;
// Asking for a few events costs less than looking at all, which takes QEMU 5 ms.
constexpr std::size_t asked_one_by_one_max = 8;
constexpr std::uint64_t flows_by_itself_bytes = 65536;

}  // namespace

namespace {

constexpr std::string_view no_monitor =
    "has no monitor, so its events cannot be switched: start QEMU with -trace NAME or -d "
    "trace:NAME";

bool can_be_asked_of_a_file(const Vm::SwitchRequest& request) {
  using Wish = Vm::SwitchRequest::Wish;
  if (request.wish == Wish::events_on || request.wish == Wish::events_off) return false;
  return !(request.wish == Wish::packs_on && request.sample.sampling);
}

}  // namespace

std::string Vm::why_not_attached() const {
  return "is " + std::string(to_string(state_)) + (reason_.empty() ? "" : ": " + reason_);
}

/// Puts a request into the queue, or answers it at once if there is no session.
std::shared_ptr<Vm::SwitchRequest> Vm::ask(std::shared_ptr<SwitchRequest> request) {
  request->finished.expires_after(request_deadline);
  if (state_ != VmState::attached) {
    request->report.error = why_not_attached();
    request->done = true;
  } else if (config_.file && !can_be_asked_of_a_file(*request)) {
    request->report.error = std::string(no_monitor);
    request->done = true;
  } else {
    requests_.push_back(request);
    wake();
  }
  return request;
}

asio::awaitable<SwitchReport> Vm::switched(std::shared_ptr<SwitchRequest> request) {
  while (!request->done) {
    const auto [ec] = co_await request->finished.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!ec) break;
  }
  if (!request->done) {
    std::erase(requests_, request);
    request->abandoned = true;
    SwitchReport failed;
    failed.error = "the monitor does not answer; see qemon status";
    co_return failed;
  }
  co_return std::move(request->report);
}

void Vm::refuse_requests(const std::string& why) {
  refuse_cost(why);
  while (!requests_.empty()) {
    const auto request = requests_.front();
    requests_.pop_front();
    request->report.error = why;
    request->done = true;
    request->finished.cancel();
  }
}

asio::awaitable<void> Vm::answer_requests(qmp::Client& client) {
  while (!requests_.empty() && !session_ended_) {
    const auto request = requests_.front();
    requests_.pop_front();
    const auto done = co_await answer(client, *request);
    if (!done) {
      note_failure(done.error());
      request->report.error = done.error().detail;
    }
    // It was said to have failed, so it leaves nothing behind.
    if (request->abandoned) {
      give_up(request->report);
      const auto undone = co_await reconcile(client, nullptr);
      if (!undone) note_failure(undone.error());
    }
    request->done = true;
    request->finished.cancel();
  }
}

asio::awaitable<Result<void>> Vm::answer(qmp::Client& client, SwitchRequest& request) {
  using Wish = SwitchRequest::Wish;
  if (request.wish == Wish::refresh) co_return co_await refresh(client, request.report);
  // A pack counts what happens while it is on, also of events that others have on.
  if (request.wish == Wish::packs_on || request.wish == Wish::packs_off) co_await catch_up(client);
  // What is on now and not because of us was switched on by somebody else, and stays on afterwards.
  auto concerned = events_of_wish(request);
  auto refreshed = co_await refresh_states(client, std::move(concerned));
  if (!refreshed) co_return refreshed.error();
  if (!settle(request, request.report)) co_return Result<void>();
  co_return co_await reconcile(client, &request.report);
}

/// Leads the trace to us if events are wanted, switches what differs from what is wanted, and puts
/// the trace back if no event is wanted any more.
asio::awaitable<Result<void>> Vm::reconcile(qmp::Client& client, SwitchReport* report) {
  // Whoever asked has looked just before.
  if (report == nullptr) {
    auto concerned = names_to_switch_on();
    auto refreshed = co_await refresh_states(client, std::move(concerned));
    if (!refreshed) co_return refreshed.error();
  }
  const auto journaled = write_journal();
  if (!journaled && !names_to_switch_on().empty()) {
    // What is not in the journal could not be put back after a crash.
    if (report != nullptr) give_up(*report);
    co_return wrap(journaled.error(), "its journal cannot be written");
  }
  if (leases_.any_wanted()) {
    const bool was_redirected = router_->redirected();
    auto started = co_await router_->start(client, report != nullptr);
    if (!started) {
      // Without somewhere to read them the records would cost the guest time for nothing.
      if (report != nullptr) give_up(*report);
      co_return wrap(started.error(), "its trace cannot be followed");
    }
    if (!was_redirected) feed_timer_.cancel();
    // A sampled event goes on some time after its lease has begun.
    if (leases_.count_ours() == 0 && !sampled_since_then_) {
      size_when_switched_on_ = router_->size_bytes();
      sampled_since_then_ = !leases_.sampled().empty();
    }
  }
  auto applied = co_await apply_changes(client, report);
  if (!applied) co_return applied.error();
  auto on = leases_.on();
  co_await router_->follow_only(std::move(on));
  // What is on now is followed more closely than what was there before.
  if (report != nullptr) feed_timer_.cancel();
  update_sampling();
  if (!leases_.any_wanted()) {
    sampled_since_then_ = false;
    auto stopped = co_await router_->stop(client, environment_.read_buffer);
    if (!stopped) co_return wrap(stopped.error(), "its trace cannot be put back");
  }
  use_packs();
  write_journal_or_warn();
  co_return Result<void>();
}

std::vector<std::string> Vm::names_to_switch_on() const {
  std::vector<std::string> names;
  for (const auto& change : leases_.changes())
    if (change.enable) names.push_back(events_.name(change.event));
  return names;
}

/// Makes sure that we know how these events (or patterns) are switched now: all events are looked
/// at too rarely to know what others did since.
asio::awaitable<Result<void>> Vm::refresh_states(qmp::Client& client,
                                                 std::vector<std::string> names) {
  if (names.empty() || !router_->switches_in_qemu()) co_return Result<void>();
  const bool all = names.size() > asked_one_by_one_max ||
                   std::find(names.begin(), names.end(), "*") != names.end();
  if (all) {
    auto listed = co_await qmp::list_trace_events(client);
    if (listed) observe(*listed);
    if (listed || qmp::is_refusal(listed.error())) co_return Result<void>();
    co_return listed.error();
  }
  for (const auto& name : names) {
    auto states = co_await qmp::get_event_states(client, name);
    // An event that there is not is told by whoever matches the patterns.
    if (!states && qmp::is_refusal(states.error())) continue;
    if (!states) co_return states.error();
    for (const auto& state : *states)
      observe(state.name, state.state == qmp::TraceEventState::enabled);
  }
  co_return Result<void>();
}

/// Switches one event where it is switched: in QEMU, in the source of its records, or in both.
asio::awaitable<Result<void>> Vm::switch_event(qmp::Client& client, trace::EventIndex event,
                                               bool on) {
  if (!router_->switches_in_qemu()) {
    auto followed = co_await router_->switch_event(event, on);
    // A source records an event whole until it is looked at what is wanted of it.
    if (on) feed_timer_.cancel();
    co_return followed;
  }
  if (on) {
    auto followed = co_await router_->switch_event(event, true);
    if (!followed) co_return followed.error();
  }
  std::string event_name = events_.name(event);
  auto done = co_await qmp::set_event_state(client, std::move(event_name), on);
  if (!on || !done) std::ignore = co_await router_->switch_event(event, false);
  co_return done;
}

asio::awaitable<Result<void>> Vm::apply_changes(qmp::Client& client, SwitchReport* report) {
  std::vector<trace::EventIndex> switched_off;
  for (const auto& change : leases_.changes()) {
    const std::string event = events_.name(change.event);
    if (change.enable && leases_.count_ours() == 0 && !sampled_since_then_)
      size_when_switched_on_ = router_->size_bytes();
    auto done = co_await switch_event(client, change.event, change.enable);
    if (done) {
      leases_.applied(change.event, change.enable);
      // QEMU's main loop answers as soon as it has switched, but may have taken its time until
      // then; the time from answer to answer is that from switch to switch.
      sampler_.switched(change.event, change.enable, Clock::now());
      if (!change.enable) switched_off.push_back(change.event);
      continue;
    }
    if (!qmp::is_refusal(done.error())) co_return done.error();
    spdlog::warn("{}: event={} cannot be switched reason=\"{}\"", name(), event,
                 done.error().detail);
    leases_.refused(change.event);
    leases_.end_empty();
    if (report != nullptr) {
      std::erase(report->changed, event);
      report->failed.push_back({event, done.error().detail});
    }
  }
  if (!switched_off.empty()) {
    // Whoever asked may look at the counters next: everything that happened until now is to be in
    // them.
    auto caught_up = co_await catch_up(client);
    for (const auto event : switched_off) engine_.event_switched(event);
    if (!caught_up) co_return caught_up.error();
  }
  co_return Result<void>();
}

/// Reads everything that happened until now.
asio::awaitable<Result<void>> Vm::catch_up(qmp::Client& client) {
  if (!router_->following()) co_return Result<void>();
  auto flushed = co_await router_->flush(client);
  co_await router_->drain(environment_.read_buffer);
  co_return flushed;
}

/// Makes every figure one of now: first those that QEMU is asked for, which takes longest, then the
/// trace. What could not be told is in `report`.
asio::awaitable<Result<void>> Vm::refresh(qmp::Client& client, SwitchReport& report) {
  auto failed = co_await collectors_.poll_all(&client, *identity_, process_);
  for (auto& [collector, why] : failed)
    report.failed.push_back({std::move(collector), std::move(why)});
  co_return co_await catch_up(client);
}

asio::awaitable<Result<void>> Vm::flush_if_due(qmp::Client& client) {
  if (!router_->is_simple() || !router_->following() || router_->is_full() ||
      leases_.count_on() == 0) {
    next_flush_time_ = Clock::time_point::max();
    co_return Result<void>();
  }
  const auto now = Clock::now();
  if (next_flush_time_ == Clock::time_point::max()) next_flush_time_ = now;
  if (now < next_flush_time_) co_return Result<void>();
  next_flush_time_ = now + flush_interval;
  const auto bytes = trace_totals().bytes_read;
  const bool flows = bytes - bytes_at_last_flush_ >= flows_by_itself_bytes;
  bytes_at_last_flush_ = bytes;
  if (flows) co_return Result<void>();
  ++monitor_totals_.flushes;
  co_return co_await router_->flush(client);
}

/// Now and then: the run state and what could not be done before; less often all events.
asio::awaitable<Result<void>> Vm::poll_if_due(qmp::Client& client) {
  const auto now = Clock::now();
  if (now < next_poll_time_) co_return Result<void>();
  next_poll_time_ = now + settings_.poll_interval.value_or(default_poll_interval);
  auto run_state = co_await qmp::query_run_state(client);
  if (!run_state) co_return run_state.error();
  run_state_is(*run_state);
  if (!answering_ && !session_ended_) {
    spdlog::info("{}: the monitor answers again", name());
    answering_ = true;
    reason_.clear();
  }
  // It may not have answered at the beginning of the session.
  if (!collectors_.in_session()) {
    auto collecting = co_await begin_collecting(client);
    if (!collecting) co_return collecting.error();
  }
  const bool idle = !leases_.any_wanted() && leases_.count_on() == 0;
  // Not all VMs of a host at once, though they may have been attached at once.
  const std::chrono::milliseconds earlier(std::hash<std::string>()(name()) % 15'000);
  if (now - last_look_time_ >= (idle ? look_interval_idle - earlier : look_interval)) {
    last_look_time_ = now;
    auto listed = co_await qmp::list_trace_events(client);
    if (!listed && !qmp::is_refusal(listed.error())) co_return listed.error();
    if (listed) observe(*listed);
  }
  auto maintained = co_await router_->maintain(client);
  if (!maintained) co_return maintained.error();
  co_return co_await reconcile(client, nullptr);
}

/// Compares what `info trace-events` printed with what we believe.
void Vm::observe(const std::string& listed) {
  for (const auto& line : qmp::parse_trace_event_lines(listed)) observe(line.name, line.on);
}

void Vm::observe(std::string_view event_name, bool on) {
  const auto event = events_.add(event_name);
  if (!router_->switches_in_qemu() || !leases_.observe(event, on)) return;
  engine_.event_switched(event);
  update_sampling();
  ++monitor_totals_.foreign_changes;
  spdlog::info("{}: event={} was switched {} by somebody else", name(), event_name,
               on ? "on" : "off");
}

/// Orderly end: everything as it was found.
asio::awaitable<void> Vm::restore(qmp::Client& client) {
  std::vector<std::string> names;
  for (const auto event : leases_.ours()) names.push_back(events_.name(event));
  end_all_leases();
  const auto restored = co_await reconcile(client, nullptr);
  if (!restored) {
    spdlog::error("{}: could not be left as found, qemon restore does it later reason=\"{}\"",
                  name(), restored.error().detail);
  } else {
    spdlog::info("{}: left as found", name());
    SwitchAnnotation switched("events off");
    switched.add(name(), names);
    annotate(switched.finish("qemond leaves the VM"));
  }
}

}  // namespace qemon::daemon
