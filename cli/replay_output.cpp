#include "cli/replay_output.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/replay_report.hpp"
#include "cli/text.hpp"
#include "exporters/pack_library.hpp"

namespace qemon::cli {
namespace {

/// Not found by its name but by its path.
bool is_file(const std::string& pack) {
  return pack.find('/') != std::string::npos || pack.ends_with(".yaml") || pack.ends_with(".yml");
}

/// Loads a pack from its file and returns its name; nothing after telling what is wrong with it.
std::optional<std::string> load_pack_file(const std::string& path, exporters::PackLibrary& library,
                                          CommandContext& context) {
  exporters::Mistakes mistakes(path);
  if (exporters::load_pack(path, mistakes) == nullptr) {
    for (const auto& mistake : mistakes.lines()) context.fail_in_file(mistake);
    return std::nullopt;
  }
  // Once more, since only the library sees what does not go together with other packs.
  const Result<std::string> added = library.add_file(path);
  if (added) return *added;
  context.fail_in_file(added.error().detail);
  return std::nullopt;
}

/// The shipped packs that have rules for what occurred.
std::vector<std::string> useful_packs(const TraceReplay& replay) {
  exporters::PackLibrary library;
  std::vector<std::string> names;
  if (!library.load(exporters::shipped_pack_folder(), {}).empty()) return names;
  const auto occurred = [&](const exporters::EventChoice& choice) {
    return std::ranges::any_of(choice.names, [&](const std::string& name) {
      const auto event = replay.events().find(name);
      return event && replay.engine().counters().count(*event) > 0;
    });
  };
  for (const auto& [name, pack] : library.packs()) {
    const bool useful = std::ranges::any_of(pack->rules, [&](const exporters::Rule& rule) {
      // A latency without an end has nothing to show.
      return std::ranges::any_of(rule.events, occurred) &&
             (rule.ends.empty() || std::ranges::any_of(rule.ends, occurred));
    });
    if (useful) names.push_back(name);
  }
  return names;
}

/// What a person should know besides the figures.
void print_notes(const TraceReplay& replay, CommandContext& context) {
  for (const auto& note : replay.notes()) context.note(note);
  for (const auto& mistake : replay.pack_mistakes()) context.fail_in_file(mistake);
  const auto stats = replay.stats();
  const auto unknown = stats.errors[static_cast<std::size_t>(trace::DecodeError::unknown_line)];
  if (stats.records == 0 && unknown > 0) {
    context.fail(replay.format() == "exec-log"
                     ? "no line is one of -d exec or -d cpu: is this such a log?"
                     : "no line is a record of an event that the catalog knows: is this a trace of "
                       "QEMU? Logs of -d exec and -d cpu need --pack exec-log");
  }
  if (replay.mismatches() > 0)
    context.note(replay.catalog_path() +
                 " is of another QEMU: give the file of the one that wrote the trace with "
                 "--trace-events");
  if (stats.records > 0 && !replay.span() && replay.format() == "log" && !replay.packs().empty())
    context.note("no timestamps in the log: start QEMU with -msg timestamp=on for latencies");
}

}  // namespace

std::optional<TraceReplay::Packs> load_packs(const std::vector<std::string>& wanted_packs,
                                             CommandContext& context) {
  exporters::PackLibrary library;
  if (!std::ranges::all_of(wanted_packs, is_file))
    for (const auto& mistake : library.load(exporters::shipped_pack_folder(), {}))
      context.fail_in_file(mistake);
  TraceReplay::Packs packs;
  for (const auto& wanted : wanted_packs) {
    const auto name = is_file(wanted) ? load_pack_file(wanted, library, context) : wanted;
    if (!name) continue;
    const auto pack = library.find(*name);
    if (pack == nullptr) {
      context.refuse("--pack " + wanted + ": " + library.no_such_pack(wanted));
    } else if (std::ranges::find(packs, pack) == packs.end()) {
      packs.push_back(pack);
    }
  }
  const auto is_exec_log = [](const auto& pack) { return pack->exec_log; };
  const auto special = std::ranges::find_if(packs, is_exec_log);
  const auto usual = std::ranges::find_if_not(packs, is_exec_log);
  if (special != packs.end() && usual != packs.end())
    context.refuse("--pack " + (*special)->name + " cannot be combined with " + (*usual)->name +
                   ", since it reads logs of -d exec and -d cpu: replay them one by one");
  if (context.status() != 0) return std::nullopt;
  return packs;
}

void show_replay(TraceReplay& replay, const std::string& vm, double seconds,
                 const std::string& output, CommandContext& context) {
  print_notes(replay, context);

  const ReplayReport report(replay, vm, seconds);
  if (output == "json") return context.print(report.to_json());
  if (output == "prometheus") return report.print_prometheus(context.out());
  report.print_tables(context.out());
  if (!replay.packs().empty()) return;
  const auto useful = useful_packs(replay);
  if (!useful.empty()) {
    context.out() << "\nPacks that make metrics of these events: " << name_list(useful)
                  << " (add for instance --pack " << useful.front() << ")\n";
  }
}

}  // namespace qemon::cli
