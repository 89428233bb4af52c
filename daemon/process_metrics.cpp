#include "daemon/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace qemon::daemon {

namespace {

using exporters::add_sample;
using exporters::counter_family;
using exporters::gauge_family;

std::string read_proc(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

std::optional<ProcessStat> own_stat() {
  return parse_process_stat(read_proc("/proc/self/stat"));
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

/// When the host booted, in seconds since the epoch: the line "btime N" of /proc/stat.
std::optional<std::uint64_t> boot_time() {
  std::ifstream stat("/proc/stat");
  for (std::string line; std::getline(stat, line);) {
    if (!line.starts_with("btime ")) continue;
    std::uint64_t seconds = 0;
    const char* end = line.data() + line.size();
    if (std::from_chars(line.data() + 6, end, seconds).ec == std::errc()) return seconds;
  }
  return std::nullopt;
}

prometheus::MetricFamily start_time() {
  auto family = gauge_family("process_start_time_seconds",
                             "Start time of the process since unix epoch in seconds.");
  const auto stat = own_stat();
  const auto boot = boot_time();
  const long ticks_per_second = ::sysconf(_SC_CLK_TCK);
  if (stat && boot && ticks_per_second > 0) {
    const double after_boot =
        static_cast<double>(stat->start_ticks) / static_cast<double>(ticks_per_second);
    add_sample(family, {}, static_cast<double>(*boot) + after_boot);
  }
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

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  // "PID (NAME) STATE ...": the name is the only field that may contain blanks, and nothing behind
  // it contains ')'.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(name_end + 1);

  ProcessStat stat;
  int field = 2;  // As proc(5) counts them; the name is the second.
  while (!text.empty()) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const std::string_view value = text.substr(0, text.find_first_of(" \n"));
    text.remove_prefix(value.size());
    ++field;
    std::uint64_t* const into = field == 22   ? &stat.start_ticks
                                : field == 23 ? &stat.virtual_bytes
                                : field == 24 ? &stat.resident_pages
                                              : nullptr;
    if (into == nullptr) continue;
    const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), *into);
    if (code != std::errc() || end != value.data() + value.size()) return std::nullopt;
    if (field == 24) return stat;
  }
  return std::nullopt;
}

}  // namespace qemon::daemon
