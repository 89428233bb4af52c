#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <system_error>
#include <utility>
#include <vector>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/followed_rates.hpp"
#include "cli/held_signals.hpp"
#include "cli/replay_output.hpp"
#include "daemon/followed_file.hpp"
#include "daemon/process_info.hpp"

namespace qemon::cli {

namespace {

using daemon::FollowedFile;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// As often as qemond looks.
constexpr auto look_interval = 60ms;

struct FollowOptions {
  std::string path;
  std::string backend;
  std::string pid;
  std::string from = "beginning";
  std::string trace_events;
  std::vector<std::string> packs;
  std::string vm = "follow";
  std::string interval = "1s";
  std::string length;
};

/// When to look and to print, and when it is over.
class Pace {
 public:
  Pace(std::chrono::milliseconds interval, std::optional<std::chrono::milliseconds> length,
       std::optional<daemon::ProcessInfo> process, bool is_over)
      : interval_(interval), process_(std::move(process)), is_over_(is_over) {
    if (length) end_ = start_ + *length;
  }

  /// Waits for the next look; from then on it may be over.
  void wait() {
    const auto until = std::min({Clock::now() + look_interval, next_, end_});
    if (signals_.wait(std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now())))
      is_over_ = true;
    look();
  }
  /// The same without waiting, when there is more to do.
  void look() {
    if (signals_.wait(0ms)) {
      is_told_twice_ = is_over_;
      is_over_ = true;
    }
    if (Clock::now() >= end_) is_over_ = true;
    if (process_ && !daemon::is_alive(*process_)) is_over_ = true;
  }
  [[nodiscard]] bool is_over() const { return is_over_; }
  /// A signal came when it was over already.
  [[nodiscard]] bool is_told_twice() const { return is_told_twice_; }
  /// Whether figures are to be printed; once for each interval.
  [[nodiscard]] bool is_due() {
    if (Clock::now() < next_) return false;
    next_ += interval_;
    if (next_ < Clock::now()) next_ = Clock::now() + interval_;
    return true;
  }
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  HeldSignals signals_;
  std::chrono::milliseconds interval_;
  std::optional<daemon::ProcessInfo> process_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + interval_;
  Clock::time_point end_ = Clock::time_point::max();
  bool is_over_ = false;
  bool is_told_twice_ = false;
};

/// What the options say, as the address of a VM would say it.
Result<FollowedFile> file_of(const FollowOptions& options) {
  std::error_code code;
  const std::filesystem::path path(options.path);
  // As the system finds it, also by way of links; the file itself may come later.
  const auto folder =
      std::filesystem::weakly_canonical(std::filesystem::absolute(path, code).parent_path(), code);
  if (code) return Error{options.path + ": " + code.message()};
  FollowedFile file;
  file.path = (folder / path.filename()).string();
  auto text = daemon::to_string(file);
  if (!options.backend.empty()) text += ",backend=" + options.backend;
  if (!options.pid.empty()) text += ",pid=" + options.pid;
  text += ",from=" + options.from;
  auto parsed = daemon::parse_followed_file(text);
  if (!parsed) return parsed.error();
  return parsed;
}

/// Waits until the file is there and shows what it is; nothing if it was over before.
std::optional<FollowedFile> wait_for_file(const FollowedFile& file, Pace& pace,
                                          CommandContext& context) {
  bool told = false;
  while (true) {
    auto found = daemon::identify(file);
    if (found) return *found;
    const bool may_come = found.error().code == std::errc::no_such_file_or_directory ||
                          found.error().code == std::errc::no_message_available;
    if (!may_come || pace.is_over()) {
      context.fail(found.error().detail);
      return std::nullopt;
    }
    if (!std::exchange(told, true)) context.note(found.error().detail + "; waiting for it");
    pace.wait();
  }
}

void follow_figures(const std::string& path, Pace& pace, CommandContext& context) {
  auto reader = plugin::FiguresReader::open(path);
  if (!reader) return context.fail(reader.error().detail);
  std::optional<PluginRates> rates;
  while (true) {
    const bool over = pace.is_over();
    const auto figures = reader->read();
    if (!figures) return context.fail(figures.error().detail);
    if (!rates) rates.emplace(*figures, pace.seconds(), context.out());
    const bool lives = daemon::inspect_process(static_cast<pid_t>(figures->header.pid)).has_value();
    const bool ended = figures->header.ended != 0 || !lives || !reader->is_still_there();
    if (over || ended || pace.is_due()) rates->print(*figures, pace.seconds());
    if (over || ended) return;
    pace.wait();
  }
}

void follow_trace(const FollowOptions& options, const FollowedFile& file, TraceReplay& replay,
                  const std::string& output, Pace& pace, CommandContext& context) {
  const auto start = file.from_beginning ? trace::FileTailOptions::Start::beginning
                                         : trace::FileTailOptions::Start::end;
  const auto followed = replay.follow(file.path, *file.format, start);
  if (!followed) return context.fail(followed.error().detail);
  std::vector<char> buffer(2 * trace::decode_bytes_max);
  const bool shows_rates = output == "table";
  TraceRates rates(replay, context.out());
  std::string problem;
  std::optional<std::uint64_t> enough;
  while (true) {
    // Whatever was written until it was over is read, unless a second signal says that it is not.
    const bool over = pace.is_over();
    bool more = replay.pump(buffer);
    if (over && !enough) enough = replay.files().back().bytes + replay.lag_bytes();
    if (over && (replay.files().back().bytes >= *enough || pace.is_told_twice())) more = false;
    if (replay.problem() != problem) {
      problem = replay.problem();
      const bool names_it = problem.starts_with(file.path);
      if (!problem.empty()) context.fail(names_it ? problem : file.path + ": " + problem);
    }
    if (shows_rates && pace.is_due()) rates.print(pace.seconds());
    if (over && !more) break;
    if (more) {
      pace.look();
    } else {
      pace.wait();
    }
  }
  if (shows_rates) context.out() << '\n';
  show_replay(replay, options.vm, pace.seconds(), output, context);
}

void follow(const FollowOptions& options, const std::string& output, CommandContext& context) {
  const auto interval = parse_duration(options.interval);
  const auto length = parse_duration(options.length);
  if (!interval || *interval < 100ms)
    return context.refuse("--interval " + options.interval + ": write 100ms or more, such as 1s");
  if (!options.length.empty() && !length)
    return context.refuse("--for " + options.length + ": write a duration, such as 30s or 10m");
  std::string_view pid = options.pid;
  if (!pid.empty() && (take_count(pid).value_or(0) == 0 || !pid.empty()))
    return context.refuse("--pid " + options.pid +
                          ": is no process id: write that of the QEMU that writes the file");
  const auto asked = file_of(options);
  if (!asked) return context.refuse(asked.error().detail);
  auto packs = load_packs(options.packs, context);
  if (!packs) return;
  std::optional<daemon::ProcessInfo> process;
  if (asked->pid) {
    // It may have ended before we looked; what it wrote is shown all the same.
    auto inspected = daemon::inspect_process(*asked->pid);
    if (inspected) process = std::move(*inspected);
  }
  const bool has_ended = asked->pid && !process;
  if (has_ended)
    context.note("there is no process " + options.pid + " any more: what is in the file is shown");
  Pace pace(*interval, length, std::move(process), has_ended);
  auto file = wait_for_file(*asked, pace, context);
  if (!file) return;
  if (file->is_plugin) {
    if (!packs->empty() || output != "table")
      return context.refuse(options.path +
                            ": is what a TCG plugin publishes, not a trace: it is shown as a "
                            "table, without packs");
    return follow_figures(file->path, pace, context);
  }
  const bool exec_packs = !packs->empty() && packs->front()->exec_log;
  if (options.backend.empty() && exec_packs && file->format == trace::TraceFormat::log)
    file->format = trace::TraceFormat::exec_log;
  TraceReplay replay(std::move(*packs), options.trace_events);
  follow_trace(options, *file, replay, output, pace, context);
}

}  // namespace

void add_follow_command(CLI::App& app, Invocation& invocation) {
  CLI::App* const command =
      app.add_subcommand("follow", "Show what a trace tells while it is written, without qemond");
  // Owned by the parser, which fills them in, and by the command, which outlives it.
  const auto options = std::make_shared<FollowOptions>();
  const auto text = [&](const char* name, std::string& into, const char* help, const char* type) {
    return command->add_option(name, into, help)->type_name(type)->check(not_empty());
  };
  text("FILE", options->path,
       "Trace of the simple or the log backend, a log of -d exec or -d cpu, or what "
       "libqemon-plugin.so publishes; it may come later",
       "")
      ->required();
  text("--backend", options->backend,
       "What the file is: simple, log, exec-log or tcg-plugin (default: as its beginning shows)",
       "NAME")
      ->check(CLI::IsMember({"simple", "log", "exec-log", "tcg-plugin"}));
  text("--from", options->from,
       "beginning or end: whether what is in the file already counts (default: beginning)", "WHERE")
      ->check(CLI::IsMember({"beginning", "end"}));
  text("--pid", options->pid, "Process that writes it, with whose end it is over", "PID");
  text("--for", options->length, "How long (default: until Ctrl-C)", "DURATION");
  text("--interval", options->interval, "How often rates are printed (default: 1s)", "DURATION");
  text("--trace-events", options->trace_events,
       "trace-events-all of the QEMU that writes the trace (default: where the system's QEMU has "
       "it)",
       "FILE");
  text("--vm", options->vm, "Value of the label vm (default: follow)", "NAME");
  command
      ->add_option("--pack", options->packs,
                   "Make the metrics of this pack: its name, or its file. May be repeated")
      ->type_name("NAME|FILE")
      ->allow_extra_args(false)
      ->check(not_empty());
  command
      ->add_option("-o,--output", invocation.output,
                   "table for people, with rates meanwhile; prometheus for the text of /metrics, "
                   "json for programs, both in the end")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "prometheus", "json"}));
  command->footer(
      "Example:\n"
      "  qemu-aarch64 -d trace:translate_block -D /tmp/prog.log ./prog &\n"
      "  qemon follow /tmp/prog.log --pid $!");
  command->callback([&invocation, options] {
    invocation.command = [options](const Invocation& called, CommandContext& context) {
      follow(*options, called.output, context);
    };
  });
}

}  // namespace qemon::cli
