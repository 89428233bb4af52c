#include "daemon/proc_text.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "base/text.hpp"

namespace qemon::daemon {

namespace {

std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::size_t words_max = 100;
  std::vector<std::string_view> words;
  while (words.size() < words_max) {
    text = trimmed(text);
    if (text.empty()) break;
    const std::string_view word = text.substr(0, text.find_first_of(" \t\n"));
    words.push_back(word);
    text.remove_prefix(word.size());
  }
  return words;
}

std::optional<std::uint64_t> whole_count(std::string_view word) {
  const auto number = take_count(word);
  return word.empty() ? number : std::nullopt;
}

}  // namespace

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  std::string read = std::move(text).str();
  if (read.empty()) return std::nullopt;
  return read;
}

std::optional<TaskStat> parse_task_stat(std::string_view text) {
  // The second field is the name in parentheses, which may hold anything; nothing behind it holds
  // ')'.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  const auto words = words_of(text.substr(name_end + 1));
  const auto field = [&](std::size_t number) {  // As proc(5) counts them.
    return number - 3 < words.size() ? whole_count(words[number - 3]) : std::nullopt;
  };
  const auto user = field(14);
  const auto system = field(15);
  const auto threads = field(20);
  const auto start = field(22);
  const auto virtual_bytes = field(23);
  const auto resident_pages = field(24);
  if (!user || !system || !threads || !start || !virtual_bytes || !resident_pages)
    return std::nullopt;
  if (words.front().size() != 1) return std::nullopt;
  return TaskStat{words.front().front(), *user,          *system, *threads, *start,
                  *virtual_bytes,        *resident_pages};
}

std::optional<TaskSchedule> parse_schedule(std::string_view text) {
  const auto words = words_of(text);
  if (words.size() < 2) return std::nullopt;
  const auto running = whole_count(words[0]);
  const auto waiting = whole_count(words[1]);
  if (!running || !waiting || (*running == 0 && *waiting == 0)) return std::nullopt;
  return TaskSchedule{*running, *waiting};
}

std::optional<std::uint64_t> kilobytes_field(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (!line.starts_with(key) || line.substr(key.size(), 1) != ":") continue;
    const auto words = words_of(line.substr(key.size() + 1));
    if (words.size() != 2 || words[1] != "kB") return std::nullopt;
    const auto number = whole_count(words[0]);
    // What would not fit is not a size of memory.
    if (!number || *number > (std::uint64_t{1} << 53U)) return std::nullopt;
    return *number * 1024;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> pressure_total_us(std::string_view text, std::string_view kind) {
  while (!text.empty()) {
    const auto words = words_of(take_line(text));
    if (words.empty() || words.front() != kind) continue;
    for (std::string_view word : words) {
      constexpr std::string_view total = "total=";
      if (!word.starts_with(total)) continue;
      word.remove_prefix(total.size());
      return whole_count(word);
    }
  }
  return std::nullopt;
}

namespace {

/// A mount of the cgroup file system version 2: which part of the tree is seen where.
struct CgroupMount {
  std::string_view root;
  std::string_view point;
};

std::optional<CgroupMount> find_cgroup_mount(std::string_view mountinfo_text) {
  while (!mountinfo_text.empty()) {
    const auto words = words_of(take_line(mountinfo_text));
    // ID PARENT DEVICE ROOT POINT OPTIONS [OPTIONAL...] - TYPE SOURCE OPTIONS
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || dash == words.end() || dash + 1 == words.end()) continue;
    if (*(dash + 1) == "cgroup2") return CgroupMount{words[3], words[4]};
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> cgroup_directory(std::string_view cgroup_text,
                                            std::string_view mountinfo_text) {
  constexpr std::string_view version_2 = "0::";
  const auto mount = find_cgroup_mount(mountinfo_text);
  if (!mount) return std::nullopt;
  while (!cgroup_text.empty()) {
    std::string_view group = take_line(cgroup_text);
    if (!group.starts_with(version_2)) continue;
    group.remove_prefix(version_2.size());
    if (mount->root != "/") {
      if (!group.starts_with(mount->root)) return std::nullopt;
      group.remove_prefix(mount->root.size());
    }
    const bool outside = group.find("/..") != std::string_view::npos;
    if (!group.starts_with('/') || group == "/" || outside) return std::nullopt;
    return std::string(mount->point) + std::string(group);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> host_boot_time() {
  const auto text = read_text("/proc/stat");  // Its line "btime N".
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = take_line(rest);
    constexpr std::string_view key = "btime ";
    if (!line.starts_with(key)) continue;
    line.remove_prefix(key.size());
    return take_count(line);
  }
  return std::nullopt;
}

double seconds_of_ticks(std::uint64_t ticks) {
  const long per_second = ::sysconf(_SC_CLK_TCK);
  return static_cast<double>(ticks) / static_cast<double>(per_second > 0 ? per_second : 100);
}

}  // namespace qemon::daemon
