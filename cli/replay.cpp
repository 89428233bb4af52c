#include <sys/stat.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/progress.hpp"
#include "cli/replay_report.hpp"
#include "cli/text.hpp"
#include "cli/trace_replay.hpp"
#include "exporters/pack_library.hpp"
#include "trace/trace_input.hpp"

namespace qemon::cli {

namespace {

constexpr const char* standard_input = "-";

struct ReplayOptions {
  std::vector<std::string> files;
  std::string trace_events;
  std::vector<std::string> packs;
  std::string vm = "replay";
};

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

/// Loads the packs that are asked for; nothing if one cannot be used, which is told.
std::optional<TraceReplay::Packs> load_packs(const ReplayOptions& options,
                                             CommandContext& context) {
  exporters::PackLibrary library;
  if (!std::ranges::all_of(options.packs, is_file))
    for (const auto& mistake : library.load(exporters::shipped_pack_folder(), {}))
      context.fail_in_file(mistake);
  TraceReplay::Packs packs;
  for (const auto& wanted : options.packs) {
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

/// The sum of the files' sizes; nothing if there is one that tells none.
std::optional<std::uint64_t> total_size(const std::vector<std::string>& files) {
  std::uint64_t total = 0;
  for (const auto& file : files) {
    struct stat about {};
    const bool known =
        file == standard_input ? ::fstat(0, &about) == 0 : ::stat(file.c_str(), &about) == 0;
    if (!known || !S_ISREG(about.st_mode)) return std::nullopt;
    total += static_cast<std::uint64_t>(about.st_size);
  }
  return total;
}

/// Reads all files; what cannot be read is told. False if there is nothing to show.
bool read_files(const ReplayOptions& options, TraceReplay& replay, CommandContext& context) {
  Progress progress(context.terminal(), total_size(options.files));
  std::uint64_t done = 0;
  bool opened = false;
  const auto fail = [&](const std::string& line) {
    progress.wipe();
    context.fail(line);
  };
  for (const auto& path : options.files) {
    Result<trace::TraceInput> input = trace::TraceInput::open(path);
    if (!input) {
      fail(input.error().detail);
      continue;
    }
    if (!input->format()) {
      // Nothing to decode, and no reason to look for a catalog.
      if (const Result<void> read = replay.skip(*input); !read) fail(read.error().detail);
      opened = true;
      continue;
    }
    if (!replay.prepared()) {
      if (const Result<void> ready = replay.prepare(*input); !ready) {
        fail(ready.error().detail);
        return false;
      }
    }
    opened = true;
    if (const Result<void> read = replay.read(*input, progress, done); !read)
      fail(read.error().detail);
    done += input->file_bytes_read();
  }
  return opened;
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
void print_notes(const ReplayOptions& options, const TraceReplay& replay, CommandContext& context) {
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
  if (stats.records > 0 && !replay.span() && replay.format() == "log" && !options.packs.empty())
    context.note("no timestamps in the log: start QEMU with -msg timestamp=on for latencies");
}

void replay_files(const ReplayOptions& options, const std::string& output,
                  CommandContext& context) {
  if (std::ranges::count(options.files, standard_input) > 1)
    return context.refuse("- is given more than once, but standard input can be read only once");
  auto packs = load_packs(options, context);
  if (!packs) return;

  TraceReplay replay(std::move(*packs), options.trace_events);
  const auto start = std::chrono::steady_clock::now();
  if (!read_files(options, replay, context)) return;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  print_notes(options, replay, context);

  const ReplayReport report(replay, options.vm, seconds.count());
  if (output == "json") return context.print(report.to_json());
  if (output == "prometheus") return report.print_prometheus(context.out());
  report.print_tables(context.out());
  if (!options.packs.empty()) return;
  const auto useful = useful_packs(replay);
  if (!useful.empty()) {
    context.out() << "\nPacks that make metrics of these events: " << name_list(useful)
                  << " (add for instance --pack " << useful.front() << ")\n";
  }
}

}  // namespace

void add_replay_command(CLI::App& app, Invocation& invocation) {
  CLI::App* const replay =
      app.add_subcommand("replay", "Show what a finished trace tells, without qemond");
  // Owned by the parser, which fills them in, and by the command, which outlives it.
  const auto options = std::make_shared<ReplayOptions>();
  replay
      ->add_option("FILE", options->files,
                   "Trace of the simple or the log backend, plain or gzip; - for standard input. "
                   "Several are read as one, in this order")
      ->required()
      ->type_name("")
      ->check(not_empty());
  replay
      ->add_option("--trace-events", options->trace_events,
                   "trace-events-all of the QEMU that wrote the trace (default: where the "
                   "system's QEMU has it)")
      ->type_name("FILE")
      ->check(not_empty());
  replay
      ->add_option("--pack", options->packs,
                   "Make the metrics of this pack: its name, or its file. May be repeated")
      ->type_name("NAME|FILE")
      ->allow_extra_args(false)
      ->check(not_empty());
  replay->add_option("--vm", options->vm, "Value of the label vm (default: replay)")
      ->type_name("NAME")
      ->check(not_empty());
  replay
      ->add_option("-o,--output", invocation.output,
                   "table for people, prometheus for the text of /metrics, json for programs")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "prometheus", "json"}));
  replay->footer(
      "Examples:\n"
      "  qemon replay trace.log.1.gz trace.log --pack virtio-blk\n"
      "  qemu-x86_64 -d exec,nochain -D /dev/stdout ./a.out | qemon replay - --pack exec-log\n"
      "\n"
      "Exit status: 0 done, 1 a file could not be read to its end (what was read is shown), "
      "2 wrong usage.");
  replay->callback([&invocation, options] {
    invocation.command = [options](const Invocation& called, CommandContext& context) {
      replay_files(*options, called.output, context);
    };
  });
}

}  // namespace qemon::cli
