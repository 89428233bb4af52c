#include "daemon/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>

#include "daemon/proc_text.hpp"

namespace qemon::daemon {

namespace {

using exporters::add_sample;
using exporters::counter_family;
using exporters::gauge_family;

std::optional<TaskStat> own_stat() {
  const auto text = read_text("/proc/self/stat");
  return text ? parse_task_stat(*text) : std::nullopt;
}

prometheus::MetricFamily cpu_seconds() {
  auto family = counter_family("process_cpu_seconds_total",
                               "Total user and system CPU time spent in seconds.");
  // The clock rather than /proc/self/stat, which counts in ticks of 10 ms.
  timespec time{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0)
    add_sample(family, {},
               static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9);
  return family;
}

prometheus::MetricFamily open_fds() {
  auto family = gauge_family("process_open_fds", "Number of open file descriptors.");
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  std::uint64_t count = 0;
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) ++count;
  if (!error && count > 0) add_sample(family, {}, count - 1);  // One of them was ours, for looking.
  return family;
}

prometheus::MetricFamily max_fds() {
  auto family = gauge_family("process_max_fds", "Maximum number of open file descriptors.");
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    add_sample(family, {}, limit.rlim_cur);
  return family;
}

prometheus::MetricFamily virtual_memory() {
  auto family = gauge_family("process_virtual_memory_bytes", "Virtual memory size in bytes.");
  if (const auto stat = own_stat()) add_sample(family, {}, stat->virtual_bytes);
  return family;
}

prometheus::MetricFamily resident_memory() {
  auto family = gauge_family("process_resident_memory_bytes", "Resident memory size in bytes.");
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (const auto stat = own_stat(); stat && page_bytes > 0)
    add_sample(family, {}, stat->resident_pages * static_cast<std::uint64_t>(page_bytes));
  return family;
}

prometheus::MetricFamily start_time() {
  auto family = gauge_family("process_start_time_seconds",
                             "Start time of the process since unix epoch in seconds.");
  const auto stat = own_stat();
  const auto boot = host_boot_time();
  if (stat && boot)
    add_sample(family, {}, static_cast<double>(*boot) + seconds_of_ticks(stat->start_ticks));
  return family;
}

#ifdef __clang__
constexpr std::string_view compiler = "clang " __clang_version__;
#else
constexpr std::string_view compiler = "g++ " __VERSION__;
#endif

}  // namespace

void add_process_metrics(exporters::MetricsPage& page) {
  page.add(cpu_seconds);
  page.add(open_fds);
  page.add(max_fds);
  page.add(virtual_memory);
  page.add(resident_memory);
  page.add(start_time);
}

prometheus::MetricFamily build_info(std::string_view version, std::string_view revision) {
  auto family =
      gauge_family("qemond_build_info", "Always 1; the labels say which build of qemond this is.");
  const std::string_view trimmed = compiler.substr(0, compiler.find_last_not_of(' ') + 1);
  if (revision.empty()) {
    add_sample(family, {{"version", version}, {"compiler", trimmed}}, 1);
  } else {
    add_sample(family, {{"version", version}, {"revision", revision}, {"compiler", trimmed}}, 1);
  }
  return family;
}

}  // namespace qemon::daemon
