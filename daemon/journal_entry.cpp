#include "daemon/journal_entry.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_nesting.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;

constexpr int format_version = 1;
// Far later than any lease ends, and early enough to be added to the time of the wall clock.
constexpr std::int64_t time_max_ns = 36'525LL * 24 * 3600 * 1'000'000'000;

std::int64_t nanoseconds(BootClock::time_point time) {
  return time.time_since_epoch().count();
}

json to_json(const JournaledLease& lease) {
  json object;
  object["id"] = lease.id;
  object["patterns"] = lease.patterns;
  object["pack"] = lease.pack;
  object["user"] = lease.user;
  object["uid"] = lease.uid ? json(*lease.uid) : json(nullptr);
  object["since"] = nanoseconds(lease.since);
  object["until"] = lease.until ? json(nanoseconds(*lease.until)) : json(nullptr);
  if (lease.sampling)
    object["sample"] = {{"on_ms", lease.sampling->on.count()},
                        {"period_ms", lease.sampling->period.count()}};
  object["events"] = lease.events;
  return object;
}

json to_json(const std::optional<JournaledPluginLevel>& level) {
  if (!level) return nullptr;
  return {{"path", level->path},
          {"found", level->found},
          {"wanted", level->wanted},
          {"until", level->until ? json(nanoseconds(*level->until)) : json(nullptr)}};
}

/// Whether it is an integer that a T can hold: one that is cut would name another process or user.
template <typename T>
bool fits(const json& value) {
  if (value.is_number_unsigned()) return std::in_range<T>(value.get<std::uint64_t>());
  return value.is_number_integer() && std::in_range<T>(value.get<std::int64_t>());
}

/// Reads members of objects; the first that is not what it should be is remembered.
class Reader {
 public:
  void text(const json& object, const char* name, std::string& into) {
    const auto* value = member(object, name);
    if (value == nullptr || !value->is_string()) return fail(name);
    into = value->get<std::string>();
    // A name or a path with these leads a line of a monitor, or of our log, astray.
    if (std::any_of(into.begin(), into.end(),
                    [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; }))
      fail(name);
  }
  void flag(const json& object, const char* name, bool& into) {
    const auto* value = member(object, name);
    if (value == nullptr || !value->is_boolean()) return fail(name);
    into = value->get<bool>();
  }
  template <typename T>
  void number(const json& object, const char* name, T& into) {
    const auto* value = member(object, name);
    if (value == nullptr || !fits<T>(*value)) return fail(name);
    into = value->get<T>();
  }
  template <typename T>
  void optional_number(const json& object, const char* name, std::optional<T>& into) {
    const auto* value = member(object, name);
    if (value != nullptr && value->is_null()) return;
    number(object, name, into.emplace());
  }
  void time(const json& object, const char* name, BootClock::time_point& into) {
    std::int64_t ns = 0;
    number(object, name, ns);
    if (ns < 0 || ns > time_max_ns) return fail(name);
    into = BootClock::time_point(std::chrono::nanoseconds(ns));
  }
  void optional_time(const json& object, const char* name,
                     std::optional<BootClock::time_point>& into) {
    const auto* value = member(object, name);
    if (value != nullptr && value->is_null()) return;
    time(object, name, into.emplace());
  }
  void texts(const json& object, const char* name, std::vector<std::string>& into) {
    each(object, name, [&](const json& value) {
      const json wrapped{{name, value}};
      text(wrapped, name, into.emplace_back());
    });
  }
  template <typename Read>
  void each(const json& object, const char* name, Read read) {
    const auto* value = member(object, name);
    if (value == nullptr || !value->is_array()) return fail(name);
    for (const auto& item : *value) read(item);
  }
  [[nodiscard]] const json* member(const json& object, const char* name) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
  }
  void fail(const char* name) {
    if (wrong_.empty()) wrong_ = name;
  }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  std::string wrong_;
};

JournaledLease read_lease(const json& object, Reader& reader) {
  JournaledLease lease;
  reader.number(object, "id", lease.id);
  reader.texts(object, "patterns", lease.patterns);
  reader.text(object, "pack", lease.pack);
  reader.text(object, "user", lease.user);
  reader.optional_number(object, "uid", lease.uid);
  reader.time(object, "since", lease.since);
  reader.optional_time(object, "until", lease.until);
  // Journals of qemonds that could not sample have none.
  if (const auto* sample = reader.member(object, "sample"); sample != nullptr) {
    std::int64_t on = 0;
    std::int64_t period = 0;
    reader.number(*sample, "on_ms", on);
    reader.number(*sample, "period_ms", period);
    const Sampling sampling{std::chrono::milliseconds(on), std::chrono::milliseconds(period)};
    if (period != 0 && !check_sampling(sampling)) reader.fail("sample");
    lease.sampling = sampling;
  }
  reader.texts(object, "events", lease.events);
  return lease;
}

void read_process(const json& file, Reader& reader, JournalEntry& entry) {
  if (const auto* process = reader.member(file, "process"); process && !process->is_null()) {
    auto& into = entry.process.emplace();
    reader.number(*process, "pid", into.pid);
    reader.number(*process, "start_ticks", into.start_ticks);
    // 0 and below name groups of processes.
    if (into.pid <= 0) reader.fail("pid");
  }
  reader.each(file, "threads", [&](const json& thread) {
    if (!fits<pid_t>(thread)) return reader.fail("threads");
    entry.threads.push_back(thread.get<pid_t>());
  });
}

void read_trace(const json& file, Reader& reader, JournaledTrace& trace) {
  static const json nothing = json::object();
  const auto* found = reader.member(file, "trace");
  const auto& object = found != nullptr ? *found : nothing;
  reader.flag(object, "log_away", trace.log_away);
  reader.text(object, "log_restore", trace.log_restore);
  reader.flag(object, "trace_file_ours", trace.trace_file_ours);
  reader.text(object, "trace_file", trace.trace_file);
  // Whoever can write here must not have QEMU open, and so empty, a file of their choice.
  if (trace.log_away && trace.log_restore != "/dev/null" && trace.log_restore != "/proc/self/fd/2")
    reader.fail("log_restore");
}

void read_collecting(const json& file, Reader& reader, JournaledCollecting& collecting) {
  // Older journals have none.
  const auto* object = reader.member(file, "collecting");
  if (object == nullptr) return;
  std::vector<std::string> devices;
  reader.texts(*object, "latency_histograms", devices);
  collecting.latency_histograms.insert(devices.begin(), devices.end());
  reader.flag(*object, "sync_profile", collecting.sync_profile);
  const auto* level = reader.member(*object, "plugin_level");
  if (level == nullptr || level->is_null()) return;
  auto& into = collecting.plugin_level.emplace();
  reader.text(*level, "path", into.path);
  reader.number(*level, "found", into.found);
  reader.number(*level, "wanted", into.wanted);
  reader.optional_time(*level, "until", into.until);
}

}  // namespace

std::string to_text(const JournalEntry& entry) {
  json file;
  file["version"] = format_version;
  file["address"] = entry.address;
  file["vm"] = entry.vm;
  file["boot"] = entry.boot;
  file["attached_by_command"] = entry.attached_by_command;
  file["process"] = nullptr;
  if (entry.process)
    file["process"] = {{"pid", entry.process->pid}, {"start_ticks", entry.process->start_ticks}};
  file["threads"] = entry.threads;
  file["on"] = entry.on;
  file["about_to_be_on"] = entry.about_to_be_on;
  file["off_by_others"] = entry.off_by_others;
  auto tripped = json::array();
  for (const auto& trip : entry.tripped)
    tripped.push_back({{"event", trip.event}, {"why", trip.why}});
  file["tripped"] = std::move(tripped);
  file["trace"] = {{"log_away", entry.trace.log_away},
                   {"log_restore", entry.trace.log_restore},
                   {"trace_file_ours", entry.trace.trace_file_ours},
                   {"trace_file", entry.trace.trace_file}};
  file["collecting"] = {{"latency_histograms", entry.collecting.latency_histograms},
                        {"sync_profile", entry.collecting.sync_profile},
                        {"plugin_level", to_json(entry.collecting.plugin_level)}};
  auto leases = json::array();
  for (const auto& lease : entry.leases) leases.push_back(to_json(lease));
  file["leases"] = std::move(leases);
  return file.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<JournalEntry> parse_journal_entry(std::string_view text) {
  if (nests_deeper_than(text, json_depth_max)) return Error{"is no journal of qemond"};
  const auto file = json::parse(text, nullptr, false);
  if (!file.is_object()) return Error{"is no journal of qemond"};
  if (file.value("version", json()) != format_version)
    return Error{"is of another version of qemond"};
  Reader reader;
  JournalEntry entry;
  reader.text(file, "address", entry.address);
  reader.text(file, "vm", entry.vm);
  reader.text(file, "boot", entry.boot);
  reader.flag(file, "attached_by_command", entry.attached_by_command);
  read_process(file, reader, entry);
  reader.texts(file, "on", entry.on);
  reader.texts(file, "about_to_be_on", entry.about_to_be_on);
  reader.texts(file, "off_by_others", entry.off_by_others);
  read_trace(file, reader, entry.trace);
  read_collecting(file, reader, entry.collecting);
  // Older journals have none.
  if (reader.member(file, "tripped") != nullptr) {
    reader.each(file, "tripped", [&](const json& trip) {
      auto& into = entry.tripped.emplace_back();
      reader.text(trip, "event", into.event);
      reader.text(trip, "why", into.why);
    });
  }
  reader.each(file, "leases",
              [&](const json& lease) { entry.leases.push_back(read_lease(lease, reader)); });
  if (!reader.wrong().empty())
    return Error{"\"" + reader.wrong() + "\" is missing or not what it should be"};
  return entry;
}

}  // namespace qemon::daemon
