#include "daemon/collect_process.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "daemon/collect_support.hpp"
#include "daemon/proc_text.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using exporters::add_sample;
using exporters::counter_family;
using exporters::gauge_family;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

std::optional<std::uint64_t> count_open_fds(const std::string& process) {
  // Bounded, because there may be a million of them and this runs on the loop.
  constexpr std::uint64_t fds_max = 100'000;
  std::error_code error;
  std::filesystem::directory_iterator entry(process + "fd", error);
  std::uint64_t count = 0;
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (++count > fds_max) return std::nullopt;
  }
  return error ? std::nullopt : std::optional(count);
}

std::optional<std::string> find_cgroup(const std::string& process) {
  const auto cgroup = read_text(process + "cgroup");
  const auto mounts = read_text("/proc/self/mountinfo");
  if (!cgroup || !mounts) return std::nullopt;
  return cgroup_directory(*cgroup, *mounts);
}

CgroupTexts read_cgroup(const std::optional<std::string>& directory) {
  if (!directory) return {};
  CgroupTexts texts;
  texts.cpu_pressure = read_text(*directory + "/cpu.pressure");
  texts.memory_pressure = read_text(*directory + "/memory.pressure");
  texts.io_pressure = read_text(*directory + "/io.pressure");
  texts.memory_current = read_text(*directory + "/memory.current");
  return texts;
}

class ProcessReader {
 public:
  // A coroutine only because a collector's poll is one: it never waits.
  asio::awaitable<Result<Figures>> poll(CollectorView view) {
    if (!view.process) co_return Figures();
    const std::string process = "/proc/" + std::to_string(view.process->pid) + "/";
    ProcessTexts texts;
    texts.stat = read_text(process + "stat");
    texts.status = read_text(process + "status");
    read_seldom(*view.process, process);
    texts.smaps_rollup = smaps_rollup_;
    texts.open_fds = count_open_fds(process);
    texts.boot_time = boot_time_;
    Figures figures = process_figures(texts);
    for (auto& family : cgroup_figures(read_cgroup(cgroup_))) figures.push_back(std::move(family));
    // Looked at last: whatever was read before is then of this process and not of one that came
    // after it.
    if (!is_alive(*view.process)) co_return Error{"QEMU's process is gone"};
    co_return std::move(figures);
  }

 private:
  /// What hardly changes, or is dear: for smaps_rollup the kernel walks all of the guest's memory
  /// (some 0.3 s for 64 GiB in small pages), and everything here waits meanwhile. So no more than a
  /// two-hundredth of the time goes into it; between two readings the last one is shown.
  void read_seldom(const ProcessInfo& process, const std::string& folder) {
    constexpr int rest_factor = 200;
    constexpr Clock::duration rest_min = 25s;
    const auto begin = Clock::now();
    if (process_ && process_->same_process(process) && begin < next_) return;
    smaps_rollup_ = read_text(folder + "smaps_rollup");
    boot_time_ = host_boot_time();
    cgroup_ = find_cgroup(folder);
    process_ = process;
    next_ = begin + std::max(rest_min, (Clock::now() - begin) * rest_factor);
  }

  std::optional<ProcessInfo> process_;
  std::optional<std::string> smaps_rollup_;
  std::optional<std::uint64_t> boot_time_;
  std::optional<std::string> cgroup_;
  Clock::time_point next_;
};

/// Fields of a file with lines "KEY: N kB", added up; nothing if there is none of them.
std::optional<std::uint64_t> sum_of(const std::optional<std::string>& text,
                                    std::initializer_list<std::string_view> keys) {
  std::optional<std::uint64_t> sum;
  for (const std::string_view key : keys) {
    const auto bytes = text ? kilobytes_field(*text, key) : std::nullopt;
    if (bytes) sum = sum.value_or(0) + *bytes;
  }
  return sum;
}

void add_one(Figures& figures, prometheus::MetricFamily family, std::optional<double> value) {
  add_known(family, {}, value);
  add_family(figures, std::move(family));
}

void add_memory(Figures& figures, const ProcessTexts& texts) {
  const auto add = [&](std::string_view name, std::string_view help,
                       std::optional<std::uint64_t> bytes) {
    auto family = gauge_family(name, help);
    add_known(family, {}, bytes);
    add_family(figures, std::move(family));
  };
  // Exact in smaps_rollup, but that is read seldom; this may lag behind by some pages a thread.
  add("qemu_process_resident_memory_bytes",
      "Memory of QEMU's process, the guest's included, that is in RAM.",
      sum_of(texts.status, {"VmRSS"}));
  add("qemu_process_proportional_memory_bytes",
      "The same, where a page that several processes share counts in part for each.",
      sum_of(texts.smaps_rollup, {"Pss"}));
  add("qemu_process_swap_bytes", "Memory of QEMU's process that is swapped out.",
      sum_of(texts.status, {"VmSwap"}));
  add("qemu_process_virtual_memory_bytes", "Size of the address space of QEMU's process.",
      sum_of(texts.status, {"VmSize"}));

  auto huge = gauge_family("qemu_process_huge_pages_bytes",
                           "Memory of QEMU's process in huge pages, by where they come from.");
  add_known(huge, {{"kind", "anonymous"}}, sum_of(texts.smaps_rollup, {"AnonHugePages"}));
  add_known(huge, {{"kind", "shared"}}, sum_of(texts.smaps_rollup, {"ShmemPmdMapped"}));
  add_known(huge, {{"kind", "hugetlb"}},
            sum_of(texts.smaps_rollup, {"Private_Hugetlb", "Shared_Hugetlb"}));
  add_family(figures, std::move(huge));
}

}  // namespace

Figures process_figures(const ProcessTexts& texts) {
  const auto stat = texts.stat ? parse_task_stat(*texts.stat) : std::nullopt;
  Figures figures;
  if (stat) {
    add_one(figures,
            counter_family("qemu_process_cpu_seconds_total",
                           "Time that all threads of QEMU's process ran on processors."),
            seconds_of_ticks(stat->user_ticks) + seconds_of_ticks(stat->system_ticks));
    add_one(figures, gauge_family("qemu_process_threads", "Threads of QEMU's process."),
            static_cast<double>(stat->threads));
  }
  add_memory(figures, texts);
  auto fds = gauge_family("qemu_process_open_fds", "File descriptors that QEMU has open.");
  add_known(fds, {}, texts.open_fds);
  add_family(figures, std::move(fds));
  if (stat && texts.boot_time) {
    add_one(figures,
            gauge_family("qemu_process_start_time_seconds",
                         "When QEMU was started, in seconds since the epoch."),
            static_cast<double>(*texts.boot_time) + seconds_of_ticks(stat->start_ticks));
  }
  return figures;
}

Figures cgroup_figures(const CgroupTexts& texts) {
  auto pressure = counter_family(
      "qemu_cgroup_pressure_seconds_total",
      "Time in which some, or all, tasks of QEMU's cgroup stood still for want of a resource.");
  const auto add = [&](std::string_view resource, const std::optional<std::string>& text) {
    for (const std::string_view kind : {"some", "full"}) {
      const auto total = text ? pressure_total_us(*text, kind) : std::nullopt;
      if (!total) continue;
      add_sample(pressure, {{"resource", resource}, {"kind", kind}},
                 static_cast<double>(*total) / 1e6);
    }
  };
  add("cpu", texts.cpu_pressure);
  add("memory", texts.memory_pressure);
  add("io", texts.io_pressure);

  auto memory = gauge_family("qemu_cgroup_memory_bytes",
                             "Memory that QEMU's cgroup is charged for, page cache included.");
  if (texts.memory_current) {
    std::string_view text = *texts.memory_current;
    add_known(memory, {}, take_count(text));
  }
  Figures figures;
  add_family(figures, std::move(pressure));
  add_family(figures, std::move(memory));
  return figures;
}

Collector process_collector() {
  Collector collector;
  collector.name = "process";
  collector.interval = 10s;
  collector.needs_monitor = false;
  collector.needs_process = true;
  // Shared by the copies of the function, which std::function insists on being able to make.
  collector.poll = [reader = std::make_shared<ProcessReader>()](CollectorView view) {
    return reader->poll(view);
  };
  return collector;
}

}  // namespace qemon::daemon
