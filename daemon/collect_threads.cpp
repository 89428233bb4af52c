#include "daemon/collect_threads.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using exporters::add_sample;
using exporters::counter_family;
using exporters::gauge_family;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr std::array<std::string_view, 4> states{"running", "sleeping", "disk_sleep", "stopped"};

std::string_view name_of_state(char letter) {
  switch (letter) {
    case 'R':
      return "running";
    case 'S':
    case 'I':
      return "sleeping";
    case 'D':
      return "disk_sleep";
    case 'T':
    case 't':
      return "stopped";
    default:
      return "other";
  }
}

std::optional<pid_t> thread_in(const json& entry) {
  // 0 and -1 stand for "no thread" on hosts that cannot tell.
  const auto tid = count_in(entry, "thread-id");
  if (!tid || *tid == 0 || *tid > std::numeric_limits<pid_t>::max()) return std::nullopt;
  return static_cast<pid_t>(*tid);
}

/// By way of the process, so that a number that the kernel has given to somebody else since is not
/// found.
ThreadFigures read_thread(pid_t pid, pid_t tid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/";
  ThreadFigures figures;
  if (const auto text = read_text(path + "stat")) figures.stat = parse_task_stat(*text);
  if (const auto text = read_text(path + "schedstat")) figures.schedule = parse_schedule(*text);
  return figures;
}

void append(Figures& figures, Figures more) {
  for (auto& family : more) figures.push_back(std::move(family));
}

// Asked anew each time, because vCPUs and iothreads can be plugged while QEMU runs.
asio::awaitable<Result<Figures>> poll_threads(CollectorView view) {
  if (!view.process) co_return Figures();
  const auto cpus = co_await ask(view, "query-cpus-fast", json());
  if (!cpus) co_return cpus.error();
  const auto io = co_await ask(view, "query-iothreads", json());
  if (!io) co_return io.error();

  const pid_t pid = view.process->pid;
  const auto read = [pid](pid_t tid) { return read_thread(pid, tid); };
  Figures figures = thread_figures("vcpu", vcpu_threads(*cpus), read);
  append(figures, thread_figures("iothread", iothreads(*io), read));
  if (!is_alive(*view.process)) co_return Error{"QEMU's process is gone"};
  co_return std::move(figures);
}

}  // namespace

std::vector<NamedThread> vcpu_threads(const json& cpus) {
  std::vector<NamedThread> threads;
  std::set<std::uint64_t> indices;
  for (const json& entry : entries_of(cpus)) {
    const auto tid = thread_in(entry);
    const auto index = count_in(entry, "cpu-index");
    if (!tid || !index || !indices.insert(*index).second) continue;
    threads.push_back(NamedThread{std::to_string(*index), *tid});
  }
  const auto on_first = [&](const NamedThread& one) { return one.tid == threads.front().tid; };
  if (threads.size() > 1 && std::all_of(threads.begin(), threads.end(), on_first)) {
    threads.resize(1);
    threads.front().name = "all";
  }
  return threads;
}

std::vector<NamedThread> iothreads(const json& answer) {
  std::vector<NamedThread> threads;
  std::set<std::string> names;
  for (const json& entry : entries_of(answer)) {
    const auto tid = thread_in(entry);
    const std::string name = text_in(entry, "id");
    if (!tid || name.empty() || !names.insert(name).second) continue;
    threads.push_back(NamedThread{name, *tid});
  }
  return threads;
}

Figures thread_figures(const std::string& kind, const std::vector<NamedThread>& threads,
                       const std::function<ThreadFigures(pid_t tid)>& read) {
  auto cpu = counter_family("qemu_" + kind + "_cpu_seconds_total",
                            "Time that the thread ran on a processor of the host.");
  auto wait = counter_family(
      "qemu_" + kind + "_run_queue_wait_seconds_total",
      "Time that the thread was ready to run but waited for a processor of the host.");
  auto state = gauge_family("qemu_" + kind + "_thread_state",
                            "1 for the state that the host's scheduler has the thread in.");
  for (const NamedThread& thread : threads) {
    const ThreadFigures found = read(thread.tid);
    if (found.schedule) {
      add_sample(cpu, {{kind, thread.name}}, static_cast<double>(found.schedule->running_ns) / 1e9);
      add_sample(wait, {{kind, thread.name}},
                 static_cast<double>(found.schedule->waiting_ns) / 1e9);
    } else if (found.stat) {
      add_sample(cpu, {{kind, thread.name}},
                 seconds_of_ticks(found.stat->user_ticks + found.stat->system_ticks));
    }
    if (found.stat)
      add_state_set(state, {{kind, thread.name}}, states, name_of_state(found.stat->state));
  }
  Figures figures;
  add_family(figures, std::move(cpu));
  add_family(figures, std::move(wait));
  add_family(figures, std::move(state));
  return figures;
}

Collector threads_collector() {
  Collector collector;
  collector.name = "threads";
  collector.interval = 5s;
  collector.needs = {"query-cpus-fast"};
  collector.needs_process = true;
  collector.poll = poll_threads;
  return collector;
}

}  // namespace qemon::daemon
