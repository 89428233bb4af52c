// The collector `threads`: processor time of vCPUs and iothreads, and how long they wait for a
// processor (steal time, seen from outside).
#pragma once

#include <sys/types.h>

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "daemon/collector.hpp"
#include "daemon/proc_text.hpp"

namespace qemon::daemon {

struct NamedThread {
  std::string name;
  pid_t tid = 0;
};

/// The answer to query-cpus-fast, named by index. Where all of several vCPUs run on one thread, as
/// under TCG with -icount, it is a single one with the name "all".
[[nodiscard]] std::vector<NamedThread> vcpu_threads(const nlohmann::json& cpus);
/// The answer to query-iothreads, named by id.
[[nodiscard]] std::vector<NamedThread> iothreads(const nlohmann::json& answer);

/// What /proc tells about a thread. What cannot be read is absent.
struct ThreadFigures {
  std::optional<TaskStat> stat;
  std::optional<TaskSchedule> schedule;
};

/// The metrics of one kind of threads: `kind` is "vcpu" or "iothread", and also their label.
[[nodiscard]] Figures thread_figures(const std::string& kind,
                                     const std::vector<NamedThread>& threads,
                                     const std::function<ThreadFigures(pid_t tid)>& read);

[[nodiscard]] Collector threads_collector();

}  // namespace qemon::daemon
