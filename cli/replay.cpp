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
#include "cli/replay_output.hpp"
#include "cli/text.hpp"
#include "cli/trace_replay.hpp"
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

void replay_files(const ReplayOptions& options, const std::string& output,
                  CommandContext& context) {
  if (std::ranges::count(options.files, standard_input) > 1)
    return context.refuse("- is given more than once, but standard input can be read only once");
  auto packs = load_packs(options.packs, context);
  if (!packs) return;

  TraceReplay replay(std::move(*packs), options.trace_events);
  const auto start = std::chrono::steady_clock::now();
  if (!read_files(options, replay, context)) return;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  show_replay(replay, options.vm, seconds.count(), output, context);
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
