// The part of Vm that makes sense of a QEMU at the beginning of a session.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

#include "daemon/plugin_level.hpp"
#include "daemon/qemu_process.hpp"
#include "daemon/usdt_probes.hpp"
#include "daemon/vm.hpp"
#include "qmp/error.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

/// A QEMU with the backend `dtrace` alone lists 39 of its events; the others are probes in its code
/// only.
std::vector<std::string> unlisted_probes(pid_t pid, std::span<const qmp::TraceEventLine> lines) {
  // A QEMU has some five thousand; whoever makes up more is not to fill our memory.
  constexpr std::size_t unlisted_max = 20'000;
  constexpr std::size_t name_length_max = 255;
  const auto is_name = [](const std::string& text) {
    return text.size() <= name_length_max && std::ranges::all_of(text, [](unsigned char c) {
             return std::isalnum(c) != 0 || c == '_';
           });
  };
  std::set<std::string_view> listed;
  for (const auto& line : lines) listed.insert(line.name);
  auto probes = probe_names(pid);
  std::erase_if(probes, [&](const std::string& probe) {
    return probe.empty() || !is_name(probe) || listed.contains(probe);
  });
  probes.resize(std::min(probes.size(), unlisted_max));
  return probes;
}

}  // namespace

/// Finds out which QEMU this is, and takes up where an earlier session with the same one left off.
asio::awaitable<Result<void>> Vm::attach(qmp::Client& client) {
  auto identity = co_await qmp::query_identity(client);
  if (!identity) co_return wrap(identity.error(), "who it is cannot be asked");
  auto threads = identity->vcpu_threads;
  threads.insert(threads.end(), identity->iothreads.begin(), identity->iothreads.end());
  find_process(client, threads);
  const bool same_threads = !threads.empty() && threads == thread_ids_;
  thread_ids_ = std::move(threads);
  run_state_is(identity->run_state);
  identity_ = std::move(*identity);
  if (config_.name.empty()) environment_.on_named(*this, identity_->name);
  auto process = found_process_;
  const bool same_process =
      router_ && (process && process_ ? process->same_process(*process_)
                                      : !process && !process_ && same_threads);
  if (!same_process) co_await begin_process(std::move(process));

  auto backends = co_await qmp::detect_backends(client);
  if (!backends) co_return wrap(backends.error(), "its trace backend cannot be asked");
  router_->choose(std::move(*backends), process_);
  auto loaded = co_await load_states(client, same_process && states_known_);
  if (!loaded) co_return loaded.error();
  if (!same_process || !catalog_.catalog) choose_catalog();
  use_packs();
  auto routed = co_await router_->attach(client);
  feed_timer_.cancel();
  co_return routed;
}

/// Asks once what this QEMU can answer, and lets the collectors begin.
asio::awaitable<Result<void>> Vm::begin_collecting(qmp::Client& client) {
  auto commands = co_await qmp::query_commands(client);
  if (!commands) co_return commands.error();
  const auto seed = std::hash<std::string>()(name());
  collectors_.begin_session(environment_.command_sets.share(std::move(*commands)),
                            process_.has_value(), seed);
  co_return Result<void>();
}

/// Sets `found_process_`, and `process_problem_` if there should be a process here but none is
/// found.
void Vm::find_process(const qmp::Client& client, const std::vector<pid_t>& threads) {
  found_process_.reset();
  process_problem_.clear();
  if (!qmp::is_on_this_host(config_.endpoint)) return;
  found_process_ = find_qemu_process(client, threads);
  if (!found_process_) {
    process_problem_ =
        "its process cannot be found in /proc, so its log and its user are unknown: run qemond on "
        "the "
        "same host and in the same pid namespace as QEMU";
  }
}

/// The QEMU process is gone, or another one has its place: its trace is read to the end.
asio::awaitable<void> Vm::end_process() {
  if (router_) {
    co_await router_->end(environment_.read_buffer);
    retired_totals_ += router_->totals();
    router_.reset();
  }
  engine_.discard_pairs();
  leases_.forget_process();
  for (const auto event : sampler_.followed())
    sampler_.follow(event, Sampler::Mode::off, {}, false, records_read(event), Clock::now());
  states_known_ = false;
  budget_.restart();
  size_when_switched_on_.reset();
  process_.reset();
  events_.use_catalog(nullptr);
  catalog_ = {};
  collectors_.begin_process({}, {});
  write_journal_or_warn();
}

/// A QEMU process that was not there before; `process` is absent for one that cannot be seen from
/// here.
asio::awaitable<void> Vm::begin_process(std::optional<ProcessInfo> process) {
  co_await end_process();
  engine_.begin_process();
  process_ = std::move(process);
  TraceRouterOptions options;
  options.vm = name();
  options.trace_directory = environment_.trace_directory;
  options.same_host = qmp::is_on_this_host(config_.endpoint);
  options.human_monitor = config_.endpoint.protocol == qmp::Protocol::hmp;
  options.descriptor_passing =
      config_.endpoint.transport == qmp::Transport::unix_socket && !options.human_monitor;
  options.backend = settings_.backend;
  options.before_probe = [this](const std::string& event) {
    probe_event_ = event;
    return write_journal();
  };
  router_ = std::make_unique<TraceRouter>(std::move(options), events_, engine_);
  remove_left_sources(name());
  const bool is_journaled = is_journaled_process();
  if (is_journaled) router_->left_behind(journaled_->trace);
  std::string plugin_path;
  if (is_plugin_file_) {
    plugin_path = config_.file->path;
  } else if (process_) {
    plugin_path = plugin_figures_path(process_->arguments).value_or("");
  }
  collectors_.begin_process(is_journaled ? journaled_->collecting : JournaledCollecting(),
                            std::move(plugin_path));
}

/// Reads the states of all events. Differences to what we believe of the same process
/// (`same_process`) are others' doing.
asio::awaitable<Result<void>> Vm::load_states(qmp::Client& client, bool same_process) {
  auto listed = co_await qmp::list_trace_events(client);
  if (!listed) co_return wrap(listed.error(), "its trace events cannot be listed");
  last_look_time_ = Clock::now();
  auto lines = qmp::parse_trace_event_lines(*listed);
  std::vector<qmp::TraceEventInfo> states;  // Holds the names if the human monitor is of no help.
  if (lines.empty()) {
    auto asked = co_await qmp::get_event_states(client, "*");
    if (!asked) co_return wrap(asked.error(), "its trace events cannot be listed");
    states = std::move(*asked);
    for (const auto& state : states)
      lines.push_back({state.name, state.state == qmp::TraceEventState::enabled});
  }
  std::vector<std::string> probes;  // Holds the names of those that are in QEMU's code only.
  if (!same_process && process_ && router_->follows_probes()) {
    probes = unlisted_probes(process_->pid, lines);
    for (const auto& probe : probes) lines.push_back({probe, false});
  }
  if (!same_process) begin_events(lines);
  if (!router_->switches_in_qemu()) {
    auto put_back = co_await switch_off_journaled(client, lines);
    if (!put_back) co_return put_back.error();
    // Whatever is on in QEMU, nothing is for us.
    for (auto& line : lines) line.on = same_process && leases_.at(events_.add(line.name)).on;
  }
  for (const auto& line : lines) {
    const auto event = events_.add(line.name);
    if (!same_process) {
      leases_.found(event, line.on, false);
    } else if (line.name == probe_event_) {
      // The session before ended before we could switch it off.
      leases_.found(event, line.on, leases_.at(event).unavailable);
      leases_.found_ours(event);
    } else if (leases_.observe(event, line.on)) {
      ++monitor_totals_.foreign_changes;
    }
  }
  probe_event_.clear();
  known_events_ = same_process ? std::max(known_events_, lines.size()) : lines.size();
  states_known_ = true;
  take_up_states();
  journaled_.reset();
  co_return Result<void>();
}

/// An earlier qemond had another backend followed, for which it switched events on in QEMU.
asio::awaitable<Result<void>> Vm::switch_off_journaled(qmp::Client& client,
                                                       std::span<const qmp::TraceEventLine> lines) {
  if (!is_journaled_process()) co_return Result<void>();
  std::set<std::string_view> ours(journaled_->on.begin(), journaled_->on.end());
  ours.insert(journaled_->about_to_be_on.begin(), journaled_->about_to_be_on.end());
  for (const auto& line : lines) {
    if (!line.on || !ours.contains(line.name)) continue;
    std::string event_name(line.name);
    auto off = co_await qmp::set_event_state(client, std::move(event_name), false);
    if (!off && !qmp::is_refusal(off.error())) co_return off.error();
  }
  co_return Result<void>();
}

/// Another QEMU's events take the place of the last one's.
void Vm::begin_events(std::span<const qmp::TraceEventLine> lines) {
  std::vector<std::string_view> names;
  names.reserve(lines.size());
  for (const auto& line : lines) names.push_back(line.name);
  events_.begin_process(environment_.event_names.share(names));
  // Those that only the QEMU before had.
  for (trace::EventIndex event = 0; event < events_.size(); ++event)
    if (!events_.is_present(event)) leases_.found(event, false, true);
}

void Vm::choose_catalog() {
  catalog_ = environment_.catalogs.find(settings_.catalog, process_, events_.process_names());
  events_.use_catalog(catalog_.catalog.get());
  if (!catalog_.problem.empty()) spdlog::warn("{}: {}", name(), catalog_.problem);
  if (!catalog_.catalog) return;
  // The list of all events shows what is compiled out as merely off.
  for (const auto& described : catalog_.catalog->events()) {
    const auto event = described.disabled ? events_.find(described.name) : std::nullopt;
    if (event && !leases_.at(*event).on) leases_.found(*event, false, true);
  }
}

}  // namespace qemon::daemon
