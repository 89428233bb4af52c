#include "daemon/put_back.hpp"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/log_destination.hpp"
#include "daemon/plugin_level.hpp"
#include "daemon/qemu_process.hpp"
#include "qmp/error.hpp"
#include "qmp/identity.hpp"
#include "qmp/trace_commands.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;

namespace {

/// Switches off what is on. Events that this QEMU does not know are none of ours.
asio::awaitable<Result<void>> switch_off(qmp::Client& client, std::vector<std::string> events,
                                         PutBack& done) {
  for (const auto& event : events) {
    auto states = co_await qmp::get_event_states(client, event);
    if (!states && qmp::is_refusal(states.error())) continue;
    if (!states) co_return states.error();
    for (const auto& state : *states) {
      if (state.state != qmp::TraceEventState::enabled || state.name != event) continue;
      auto off = co_await qmp::set_event_state(client, event, false);
      if (!off) co_return wrap(off.error(), event);
      done.switched_off.push_back(event);
    }
  }
  co_return Result<void>();
}

/// Whether somebody led the log to a file of their own since. A file that QEMU inherited from its
/// parent looks like one, so where we left the log comes first.
bool log_was_taken(const ProcessInfo& process, const std::string& trace_directory) {
  const auto files = open_files(process.pid);
  return files && !has_file_in(*files, trace_directory) && !is_log_silenced(*files) &&
         !log_candidates(*files, trace_directory).empty();
}

/// The named files right in the folder that QEMU has open.
std::vector<std::string> open_in(const ProcessInfo& process, const std::string& folder) {
  std::vector<std::string> paths;
  const auto files = open_files(process.pid);
  if (!files) return paths;
  for (const auto& file : *files)
    if (!file.deleted && is_right_in(file.target, folder)) paths.push_back(file.target);
  return paths;
}

asio::awaitable<Result<void>> put_trace_back(qmp::Client& client, const JournaledTrace& trace,
                                             const std::optional<ProcessInfo>& process,
                                             const std::string& trace_directory, PutBack& done) {
  if (trace.trace_file_ours) {
    auto status = co_await qmp::trace_file_status(client);
    if (!status && !qmp::is_refusal(status.error())) co_return status.error();
    if (status && is_right_in(status->name, trace_directory)) {
      auto back = co_await put_trace_file_back(client, trace.trace_file);
      if (!back) co_return wrap(back.error(), "its trace file cannot be put back");
      ::unlink(status->name.c_str());
    }
  }
  if (!trace.log_away) co_return Result<void>();
  if (process && log_was_taken(*process, trace_directory)) {
    done.note = "its log is where somebody else led it, and stays there";
    co_return Result<void>();
  }
  const auto ours = process ? open_in(*process, trace_directory) : std::vector<std::string>();
  auto back = co_await put_log_back(client, trace.log_restore);
  if (!back) co_return wrap(back.error(), "its log cannot be put back");
  for (const auto& file : ours) ::unlink(file.c_str());
  if (!back->empty()) done.note = "its log is nowhere now: " + *back;
  co_return Result<void>();
}

/// All of it, also after an error; the first one is returned.
asio::awaitable<Result<void>> undo_collecting(qmp::Client& client,
                                              const JournaledCollecting& collecting) {
  Result<void> done;
  const auto note = [&](const Error& error) {
    if (done) done = error;
  };
  for (const auto& id : collecting.latency_histograms) {
    auto arguments = nlohmann::json::object();
    arguments["id"] = id;
    // A device that was unplugged took its histogram with it.
    auto removed = co_await client.execute("block-latency-histogram-set", std::move(arguments),
                                           qmp::default_deadline);
    if (!removed && !qmp::is_refusal(removed.error())) note(removed.error());
  }
  if (!collecting.sync_profile) co_return done;
  auto off = co_await qmp::human_command(client, "sync-profile off");
  if (!off && !qmp::is_refusal(off.error())) note(off.error());
  co_return done;
}

asio::awaitable<Result<void>> put_back_over(qmp::Client& client, const JournalEntry& entry,
                                            const std::string& trace_directory, PutBack& done) {
  auto identity = co_await qmp::query_identity(client);
  if (!identity) co_return wrap(identity.error(), "who it is cannot be asked");
  auto threads = identity->vcpu_threads;
  threads.insert(threads.end(), identity->iothreads.begin(), identity->iothreads.end());
  const auto process = find_qemu_process(client, threads);
  const bool same = entry.process ? process && process->pid == entry.process->pid &&
                                        process->start_ticks == entry.process->start_ticks
                                  : !process && threads == entry.threads;
  if (!same) {
    done.gone = true;
    co_return Result<void>();
  }
  auto events = entry.on;
  events.insert(events.end(), entry.about_to_be_on.begin(), entry.about_to_be_on.end());
  auto off = co_await switch_off(client, std::move(events), done);
  if (!off) co_return wrap(off.error(), "its events cannot be switched off");
  auto collected = co_await undo_collecting(client, entry.collecting);
  if (!collected) co_return wrap(collected.error(), "what collectors switched on stays on");
  co_return co_await put_trace_back(client, entry.trace, process, trace_directory, done);
}

}  // namespace

asio::awaitable<Result<std::string>> put_log_back(qmp::Client& client, std::string restore) {
  Result<std::string> why_nowhere(boost::system::in_place_value);
  auto restored = co_await qmp::set_logfile(client, std::move(restore));
  if (restored) co_return why_nowhere;
  if (!qmp::is_refusal(restored.error())) co_return restored.error();
  // A failed logfile leaves the log closed and the name remembered.
  auto nowhere = co_await qmp::set_logfile(client, "/dev/null");
  if (!nowhere) co_return nowhere.error();
  *why_nowhere = restored.error().detail;
  co_return why_nowhere;
}

asio::awaitable<Result<void>> put_trace_file_back(qmp::Client& client, std::string name) {
  auto off = co_await qmp::switch_trace_file(client, false);
  if (!off) co_return off.error();
  auto named = co_await qmp::set_trace_file(client, std::move(name));
  if (!named && !qmp::is_refusal(named.error())) co_return named.error();
  co_return Result<void>();
}

bool is_right_in(const std::string& path, const std::string& folder) {
  return path.starts_with(folder + "/") && path.find('/', folder.size() + 1) == std::string::npos;
}

bool may_be_alive(const JournalEntry& entry) {
  if (entry.boot != boot_id()) return false;
  if (!entry.process) return true;
  ProcessInfo process;
  process.pid = entry.process->pid;
  process.start_ticks = entry.process->start_ticks;
  return is_alive(process);
}

asio::awaitable<PutBack> put_back(JournalEntry entry, std::string trace_directory) {
  PutBack done;
  done.gone = !may_be_alive(entry);
  if (done.gone || !entry.changed_qemu()) co_return done;
  if (entry.collecting.plugin_level) {
    // Told through its file, whether the monitor can be reached or not.
    const auto back = put_plugin_level_back(*entry.collecting.plugin_level);
    if (!back) done.error = "its plugin's level is not put back: " + back.error().detail;
    entry.collecting.plugin_level.reset();
    if (!back || !entry.changed_qemu()) co_return done;
  }
  // A VM without a monitor, in which nothing else can have been changed.
  if (entry.address.starts_with("file:")) co_return done;
  auto endpoint = qmp::parse_endpoint(entry.address);
  if (!endpoint) {
    done.error = endpoint.error().detail;
    co_return done;
  }
  const auto executor = co_await asio::this_coro::executor;
  auto connected = co_await qmp::Client::connect(executor, *endpoint, qmp::ClientOptions());
  if (!connected) {
    done.error = connected.error().detail;
    co_return done;
  }
  auto client = std::move(*connected);
  bool ended = false;
  asio::steady_timer end(executor, asio::steady_timer::time_point::max());
  const auto on_end = [&](std::exception_ptr failure, const Error&) {
    if (failure) std::rethrow_exception(failure);
    ended = true;
    end.cancel();
  };
  asio::co_spawn(executor, client->run(), on_end);
  auto all = co_await put_back_over(*client, entry, trace_directory, done);
  if (!all) done.error = all.error().detail;
  client->close();
  if (!ended) co_await end.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return done;
}

}  // namespace qemon::daemon
