#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "base/utf8.hpp"
#include "qmp/error.hpp"
#include "qmp/hmp_table.hpp"

namespace qemon::qmp {

using nlohmann::json;

namespace {

constexpr char blockstats_line[] = "info blockstats";
constexpr char block_line[] = "info block";
constexpr char block_jobs_line[] = "info block-jobs";
constexpr char memory_line[] = "info memory_size_summary";
constexpr char balloon_line[] = "info balloon";
constexpr char dirty_rate_line[] = "info dirty_rate";
constexpr char migrate_line[] = "info migrate";
constexpr char replay_line[] = "info replay";

/// What stands in front of `separator`, if it is there; `text` then goes on behind it.
std::optional<std::string_view> take_until(std::string_view& text, std::string_view separator) {
  const auto at = text.find(separator);
  if (at == text.npos) return std::nullopt;
  const auto front = text.substr(0, at);
  text.remove_prefix(at + separator.size());
  return front;
}

/// Where a backend of `info block` is: "d0 (#block171): FILE (raw)" and below it
/// "    Attached to:      QOM-PATH".
struct BackendPlace {
  std::string_view head;
  std::string_view qdev;
};

// A file's name may contain line breaks and with them whatever looks like further lines: a second
// path makes both doubtful, and what looks like a further backend changes their number.
std::vector<BackendPlace> backend_places(std::string_view text) {
  constexpr std::string_view attached = "    Attached to:";
  std::vector<BackendPlace> places;
  bool between = true;
  int paths = 0;
  while (!text.empty()) {
    const auto line = take_line(text);
    if (line.empty()) {
      between = true;
    } else if (std::exchange(between, false)) {
      places.push_back({line, {}});
      paths = 0;
    } else if (line.starts_with(attached)) {
      const bool first = ++paths == 1;
      places.back().qdev = first ? trimmed(line.substr(attached.size())) : std::string_view();
    }
  }
  return places;
}

/// The node's name in "d0 (NODE): FILE", or in "NODE: FILE" where the backend has no name. Without
/// a medium there is no node.
std::string_view node_name(std::string_view head, std::string_view device) {
  if (head.ends_with(": [not inserted]")) return {};
  if (!device.empty()) {
    head.remove_prefix(device.size());
    if (!head.starts_with(" (")) return {};
    head.remove_prefix(2);
    return take_until(head, "): ").value_or(std::string_view());
  }
  return take_until(head, ": ").value_or(std::string_view());
}

/// Both lists are of the same backends in the same order, unless one was plugged in between.
bool fit_together(const json& backends, const std::vector<BackendPlace>& places) {
  const auto fits = [](const json& backend, const BackendPlace& place) {
    const auto& device = backend.at("device").get_ref<const std::string&>();
    const auto rest = place.head.substr(std::min(device.size(), place.head.size()));
    return device.empty() ||
           (place.head.starts_with(device) && (rest.starts_with(": ") || rest.starts_with(" (")));
  };
  return std::equal(backends.begin(), backends.end(), places.begin(), places.end(), fits);
}

// "d0: rd_bytes=512 wr_bytes=0 ..." a line. The name is that of the drive, and empty for a
// -blockdev; only `info block` tells those apart.
Result<json> blockstats_meaning(const json& /*arguments*/, HmpTexts texts) {
  json backends = json::array();
  std::string_view text = texts[0];
  while (!text.empty()) {
    const auto line = take_line(text);
    auto rest = line;
    const auto device = take_until(rest, ": rd_bytes=");
    if (!device) return unexpected_hmp_text(line);
    json stats = json::object();
    for (const char* key : {"rd_bytes", "wr_bytes", "rd_operations", "wr_operations",
                            "flush_operations", "rd_total_time_ns", "wr_total_time_ns",
                            "flush_total_time_ns", "rd_merged", "wr_merged", "idle_time_ns"}) {
      const auto number = number_behind(line.substr(device->size()), " " + std::string(key) + "=");
      // Before the first operation the idle time is shown as 0.
      if (number && (*number != 0 || key != std::string_view("idle_time_ns"))) stats[key] = *number;
    }
    if (!stats.contains("rd_bytes") || !stats.contains("wr_bytes"))
      return unexpected_hmp_text(line);
    backends.push_back({{"device", *device}, {"stats", std::move(stats)}});
  }
  const auto places = backend_places(texts[1]);
  if (!fit_together(backends, places)) return hmp_value(std::move(backends));
  auto place = places.begin();
  for (json& backend : backends) {
    const auto node = node_name(place->head, backend.at("device").get<std::string>());
    if (!node.empty()) backend["node-name"] = node;
    if (!place->qdev.empty()) backend["qdev"] = place->qdev;
    ++place;
  }
  return hmp_value(std::move(backends));
}

// "Type mirror, device copy-1: Completed 1 of 2 bytes, speed limit 0 bytes/s", or "Streaming device
// copy-1: Completed ...". Not told: whether the job runs, waits or has failed.
Result<json> block_jobs_meaning(const json& /*arguments*/, HmpTexts texts) {
  json jobs = json::array();
  std::string_view text = texts[0];
  if (text == "No active jobs") return hmp_value(std::move(jobs));
  while (!text.empty()) {
    const auto line = take_line(text);
    auto rest = line;
    std::optional<std::string_view> type = "stream";
    if (rest.starts_with("Type ")) {
      rest.remove_prefix(5);
      type = take_until(rest, ", device ");
    } else if (!take_until(rest, "Streaming device ")) {
      return unexpected_hmp_text(line);
    }
    const auto device = take_until(rest, ": Completed ");
    const auto done = take_count(rest);
    const auto end = number_behind(rest, " of ");
    const auto speed = number_behind(rest, ", speed limit ");
    if (!type || !device || !done || !end || !speed) return unexpected_hmp_text(line);
    jobs.push_back({{"type", *type},
                    {"device", *device},
                    {"offset", *done},
                    {"len", *end},
                    {"speed", *speed}});
  }
  return hmp_value(std::move(jobs));
}

/// A line that begins with `head`, or with blanks and it, and has a number behind `key` (or right
/// behind the head): the value of `member`, in units of 1/factor.
struct Row {
  std::string_view head;
  std::string_view key;
  const char* member;
  std::int64_t factor = 1;
};

std::optional<std::int64_t> number_of(std::string_view line, const Row& row) {
  line = trimmed(line);
  if (!line.starts_with(row.head)) return std::nullopt;
  line = trimmed(line.substr(row.head.size()));
  const auto number =
      row.key.empty() ? take_number<std::int64_t>(line) : number_behind(line, row.key);
  if (!number || *number < 0 || *number > INT64_MAX / row.factor) return std::nullopt;
  return *number * row.factor;
}

/// The members that `rows` find in `text`.
json read_rows(std::string_view text, std::span<const Row> rows) {
  json object = json::object();
  while (!text.empty()) {
    const auto line = take_line(text);
    for (const Row& row : rows) {
      const auto number = number_of(line, row);
      if (number && !object.contains(row.member)) object[row.member] = *number;
    }
  }
  return object;
}

Result<json> memory_meaning(const json& /*arguments*/, HmpTexts texts) {
  constexpr Row rows[] = {{"base memory:", "", "base-memory"},
                          {"plugged memory:", "", "plugged-memory"}};
  auto size = read_rows(texts[0], rows);
  if (!size.contains("base-memory")) return unexpected_hmp_text(texts[0]);
  return hmp_value(std::move(size));
}

// "balloon: actual=128", cut to whole MiB, or why there is none.
Result<json> balloon_meaning(const json& /*arguments*/, HmpTexts texts) {
  constexpr Row rows[] = {{"balloon:", "actual=", "actual", std::int64_t{1} << 20}};
  auto balloon = read_rows(texts[0], rows);
  if (texts[0].starts_with("Error: ")) return make_error(errc::command_failed, one_line(texts[0]));
  if (balloon.empty()) return unexpected_hmp_text(texts[0]);
  return hmp_value(std::move(balloon));
}

// The start is what QMP tells, whatever unit the text claims: seconds (measured on 7.2 and 10.0).
Result<json> dirty_rate_meaning(const json& /*arguments*/, HmpTexts texts) {
  constexpr Row rows[] = {{"Start Time:", "", "start-time"},
                          {"Period:", "", "calc-time"},
                          {"Dirty rate:", "", "dirty-rate"}};
  constexpr std::string_view head = "Status: ";
  if (!texts[0].starts_with(head)) return unexpected_hmp_text(texts[0]);
  auto rate = read_rows(texts[0], rows);
  std::string_view text = texts[0];
  rate["status"] = take_line(text).substr(head.size());
  return hmp_value(std::move(rate));
}

/// What stands behind "Migration status: " or "Status:" (10.1 and later), without the reason that
/// may follow in brackets; empty if there is no such line.
std::string_view migration_status(std::string_view text) {
  while (!text.empty()) {
    const auto line = take_line(text);
    for (const std::string_view head : {"Migration status:", "Status:"}) {
      if (!line.starts_with(head)) continue;
      const auto status = trimmed(line.substr(head.size()));
      return status.substr(0, status.find(' '));
    }
  }
  return {};
}

// The lines are those of up to 10.0, then those of 10.1 and later, which tell sizes rounded to
// three digits ("1.41 GiB"): they are left out.
constexpr Row migration_times[] = {{"total time:", "", "total-time"},
                                   {"Time (ms):", "total=", "total-time"},
                                   {"expected downtime:", "", "expected-downtime"},
                                   {"Time (ms):", " exp_down=", "expected-downtime"},
                                   {"downtime:", "", "downtime"},
                                   {"Time (ms):", " down=", "downtime"},
                                   {"setup:", "", "setup-time"},
                                   {"Time (ms):", " setup=", "setup-time"}};
constexpr Row migration_ram[] = {{"transferred ram:", "", "transferred", 1024},
                                 {"remaining ram:", "", "remaining", 1024},
                                 {"total ram:", "", "total", 1024},
                                 {"dirty sync count:", "", "dirty-sync-count"},
                                 {"Others:", "dirty_syncs=", "dirty-sync-count"},
                                 {"dirty pages rate:", "", "dirty-pages-rate"},
                                 {"Page Rates (pps):", " dirty=", "dirty-pages-rate"}};

Result<json> migrate_meaning(const json& /*arguments*/, HmpTexts texts) {
  const std::string& text = texts[0];
  const auto status = migration_status(text);
  if (status.empty()) {
    // There was no migration; up to 10.0 some settings are shown nevertheless.
    const bool idle = text.empty() || text.starts_with("globals:") ||
                      text.starts_with("Outgoing migration blocked:");
    return idle ? hmp_value(json::object()) : Result<json>(unexpected_hmp_text(text));
  }
  auto migration = read_rows(text, migration_times);
  // Up to 10.0 it is also 0 where QEMU does not know it: on the receiving side, and when the
  // migration was cancelled or failed.
  if (const auto time = migration.find("total-time"); time != migration.end() && *time == 0) {
    migration.erase(time);
  }
  migration["status"] = status;
  auto ram = read_rows(text, migration_ram);
  if (!ram.empty()) {
    // It is shown unless it is 0.
    if (!ram.contains("dirty-pages-rate")) ram["dirty-pages-rate"] = 0;
    migration["ram"] = std::move(ram);
  }
  return hmp_value(std::move(migration));
}

// "Recording execution 'FILE': instruction count = 5651238". Without record and replay nothing is
// counted here, although query-replay would tell what -icount counts.
Result<json> replay_meaning(const json& /*arguments*/, HmpTexts texts) {
  constexpr std::string_view count_head = "': instruction count = ";
  std::string_view text = texts[0];
  if (text == "Record/replay is not active") return hmp_value({{"mode", "none"}});
  for (const auto& [head, mode] :
       {std::pair<std::string_view, const char*>("Recording execution '", "record"),
        {"Replaying execution '", "play"}}) {
    const auto at = text.rfind(count_head);
    if (!text.starts_with(head) || at == text.npos || at < head.size()) continue;
    auto number = text.substr(at + count_head.size());
    const auto count = take_count(number);
    if (!count || !number.empty()) break;
    return hmp_value({{"mode", mode},
                      {"filename", text.substr(head.size(), at - head.size())},
                      {"icount", *count}});
  }
  return unexpected_hmp_text(texts[0]);
}

// Not here: query-jobs, because jobs that are no block jobs are not shown; query-stats, because a
// human monitor shows those of one vCPU only, which `cpu` chooses for everybody who types into it;
// x-query-irq and x-query-jit, whose text collectors take from `info irq` and `info jit` anyway.
constexpr HmpTranslation figures[] = {
    {"query-balloon", fixed_lines<balloon_line>, balloon_meaning},
    {"query-block-jobs", fixed_lines<block_jobs_line>, block_jobs_meaning},
    {"query-blockstats", fixed_lines<blockstats_line, block_line>, blockstats_meaning},
    {"query-dirty-rate", fixed_lines<dirty_rate_line>, dirty_rate_meaning},
    {"query-memory-size-summary", fixed_lines<memory_line>, memory_meaning},
    {"query-migrate", fixed_lines<migrate_line>, migrate_meaning},
    {"query-replay", fixed_lines<replay_line>, replay_meaning},
};

}  // namespace

std::span<const HmpTranslation> hmp_figures() {
  return figures;
}

}  // namespace qemon::qmp
