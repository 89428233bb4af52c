#include "daemon/trace_router.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <fstream>
#include <tuple>
#include <utility>

#include "daemon/put_back.hpp"
#include "qmp/error.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// What `simple` writes at a time (TRACE_BUF_FLUSH_THRESHOLD in trace/simple.c).
constexpr std::uint64_t room_bytes_min = 65536;

std::uint64_t file_size(const std::string& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0 ? static_cast<std::uint64_t>(about.st_size) : 0;
}

/// Whether `text` stands in the file behind `offset`, within the few lines that a probe writes.
bool contains_after(const std::string& path, std::uint64_t offset, const std::string& text) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  std::string bytes(std::size_t{256} * 1024, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes.find(text) != std::string::npos;
}

bool was_removed(const trace::TraceFeed& feed) {
  struct stat about {};
  return feed.tail().is_open() && ::fstat(feed.tail().fd(), &about) == 0 && about.st_nlink == 0;
}

}  // namespace

std::string_view to_string(Destination destination) {
  switch (destination) {
    case Destination::none:
      return "none";
    case Destination::in_place:
      return "in place";
    case Destination::by_descriptor:
      return "file by descriptor";
    case Destination::by_path:
      return "file by path";
    case Destination::source:
      return "host";
  }
  return "none";
}

TraceRouter::TraceRouter(TraceRouterOptions options, trace::EventTable& events,
                         trace::RecordSink& sink)
    : options_(std::move(options)), events_(events), sink_(sink) {}

TraceRouter::~TraceRouter() = default;

void TraceRouter::choose(qmp::Backends backends, std::optional<ProcessInfo> process) {
  backends_ = std::move(backends);
  process_ = std::move(process);
  blocked_.clear();
  choose_backend();
}

asio::awaitable<Result<void>> TraceRouter::attach(qmp::Client& client) {
  note_.clear();
  unsafe_set_.reset();
  auto put_back = co_await put_back_of_other_backend(client);
  if (!put_back) co_return put_back.error();
  if (!blocked_.empty() || uses_source()) co_return Result<void>();
  if (log_unsafe_) {
    auto safe = co_await make_log_safe(client);
    if (!safe) co_return safe.error();
  }
  if (redirected()) {
    // The trace went on while the monitor was not ours, unless somebody led it elsewhere.
    if (still_written()) co_return Result<void>();
    log_away_ = false;
    retire_feed();
  }
  if (backends_.simple) co_return co_await attach_simple(client);
  co_return co_await attach_log(client);
}

asio::awaitable<Result<void>> TraceRouter::attach_simple(qmp::Client& client) {
  auto status = co_await qmp::trace_file_status(client);
  if (!status) co_return wrap(status.error(), "where its trace goes cannot be asked");
  const bool ours = is_right_in(status->name, options_.trace_directory);
  original_trace_file_ = status->name;
  if (ours) {
    // What a qemond that was killed has left. Without a journal QEMU's own default name is the best
    // that can be put back.
    original_trace_file_ =
        left_behind_ && left_behind_->trace_file_ours
            ? left_behind_->trace_file
            : "trace-" + (process_ ? std::to_string(process_->pid) : std::string("qemu"));
    auto put_back = co_await put_trace_file_back(client, original_trace_file_);
    if (!put_back && !qmp::is_refusal(put_back.error())) co_return put_back.error();
    ::unlink(status->name.c_str());
  }
  if (status->on && !ours) {
    auto path = status->name;
    if (!path.starts_with('/') && process_) path = process_->cwd + "/" + path;
    const auto files = process_ ? open_files(process_->pid) : Error{};
    const auto remote = files ? remote_file_named(*files, path) : std::nullopt;
    if (remote) {
      refuse_remote("its trace file", *remote);
    } else {
      follow_in_place(trace::TraceFormat::simple, path);
    }
  } else if (feed_) {
    retire_feed();
  }
  if (backends_.log) co_return co_await find_log(client);
  co_return Result<void>();
}

asio::awaitable<Result<void>> TraceRouter::attach_log(qmp::Client& client) {
  auto found = co_await find_log(client);
  if (!found) co_return found.error();
  if (log_.user_file && !log_.user_file->remote.empty()) {
    refuse_remote("its log", *log_.user_file);
  } else if (log_.user_file) {
    follow_in_place(trace::TraceFormat::log, log_.user_file->target);
  } else if (feed_) {
    retire_feed();
  }
  co_return Result<void>();
}

/// Finds where the log goes now. Redirecting it without knowing would lose what a user keeps, so
/// not knowing blocks.
asio::awaitable<Result<void>> TraceRouter::find_log(qmp::Client& client) {
  log_ = {};
  std::string problem;
  bool left_behind = false;
  if (!process_) {
    problem = "where its log goes cannot be seen: its process is not visible from here";
  } else if (auto files = open_files(process_->pid); !files) {
    problem = "where its log goes cannot be seen (" + files.error().detail +
              "): run qemond as root or as the user of QEMU";
  } else {
    log_ = log_destination_at_start(*process_, *files, options_.trace_directory, backends_.simple);
    left_behind = has_file_in(*files, options_.trace_directory);
    auto candidates = log_candidates(*files, options_.trace_directory);
    const bool only_known = candidates.size() == 1 && log_.user_file &&
                            candidates.front().descriptor == log_.user_file->descriptor;
    const auto remote = std::find_if(candidates.begin(), candidates.end(),
                                     [](const auto& file) { return !file.remote.empty(); });
    if (remote != candidates.end()) {
      // It may be the log, which only a look into it could tell.
      log_.user_file = *remote;
    } else if (!candidates.empty() && !only_known) {
      auto probed = co_await probe_log(client, std::move(candidates));
      if (!probed) co_return probed.error();
      if (*probed) log_.user_file = **probed;
    }
  }
  if (!problem.empty() && !backends_.simple) blocked_ = problem;
  log_known_ = problem.empty();
  if (left_behind_ && left_behind_->log_away && !log_.user_file) {
    // What standard error was before a daemonized QEMU made it follow the log, only the journal
    // knows; and a log that was silenced has no file of ours to be known by.
    log_.restore = left_behind_->log_restore;
    log_away_ = true;
    co_return Result<void>();
  }
  left_behind_.reset();
  // A log that a killed qemond led to its own file would grow there for ever. It is put back by
  // stop(), or led to a new file by start(): one of them comes next.
  log_away_ = left_behind && !log_.user_file;
  co_return Result<void>();
}

/// Writes a line to the log and looks which file has it. handle_qmp_command prints each QMP request
/// as it came, in every version since 6.2, and handle_hmp_command each line of the human monitor;
/// asking for an event with a name of our own leaves exactly that name there.
asio::awaitable<Result<std::optional<OpenFile>>> TraceRouter::probe_log(
    qmp::Client& client, std::vector<OpenFile> candidates) {
  const std::string tracer = options_.human_monitor ? "handle_hmp_command" : "handle_qmp_command";
  const std::string mark =
      "qemon-log-probe-" + std::to_string(Clock::now().time_since_epoch().count());
  const auto path_of = [&](const OpenFile& file) {
    return "/proc/" + std::to_string(process_->pid) + "/fd/" + std::to_string(file.descriptor);
  };
  std::vector<std::uint64_t> sizes;
  sizes.reserve(candidates.size());
  for (const auto& file : candidates) sizes.push_back(file_size(path_of(file)));
  auto before = co_await qmp::get_event_states(client, tracer);
  if (!before && !qmp::is_refusal(before.error())) co_return before.error();
  if (!before || before->empty()) co_return std::optional<OpenFile>();
  const bool was_on = before->front().state == qmp::TraceEventState::enabled;
  if (!was_on) {
    if (options_.before_probe) {
      const auto noted = options_.before_probe(tracer);
      if (!noted) co_return noted.error();
    }
    auto on = co_await qmp::set_event_state(client, tracer, true);
    if (!on) co_return on.error();
  }
  // Refused, since there is no such event.
  auto marked = co_await qmp::get_event_states(client, mark);
  if (!was_on) {
    auto off = co_await qmp::set_event_state(client, tracer, false);
    if (!off) co_return off.error();
    if (options_.before_probe) std::ignore = options_.before_probe({});
  }
  if (!marked && !qmp::is_refusal(marked.error())) co_return marked.error();
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (contains_after(path_of(candidates[i]), sizes[i], mark))
      co_return std::optional<OpenFile>(candidates[i]);
  }
  // None of them: then the log goes where it went at start, if that is no regular file.
  co_return std::optional<OpenFile>();
}

/// A server that does not answer would hold us up, and with us all other VMs; and a QEMU that is
/// asked to flush.
void TraceRouter::refuse_remote(const std::string& what, const OpenFile& file) {
  blocked_ = what + " " + file.target + " is on a file system of type " + file.remote +
             ", whose server may stop answering: let it go to a local file";
  if (feed_) retire_feed();
}

void TraceRouter::follow_in_place(trace::TraceFormat format, const std::string& path) {
  if (feed_ && destination_ == Destination::in_place && feed_->tail().path() == path) return;
  if (feed_) retire_feed();
  // access() would leave our capabilities out, since it asks for the real user.
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0) {
    blocked_ = system_error(errno, path).detail +
               ": qemond must be allowed to read the file that the trace goes to";
    return;
  }
  feed_ = std::make_unique<trace::TraceFeed>(format, events_, path);
  destination_ = Destination::in_place;
}

void TraceRouter::follow_file(trace::TraceFormat format, const std::string& path,
                              trace::FileTailOptions::Start start, std::string how) {
  backends_.simple = format == trace::TraceFormat::simple;
  backends_.log = !backends_.simple;
  backends_.how = std::move(how);
  feed_ = std::make_unique<trace::TraceFeed>(format, events_, path, start);
  destination_ = Destination::in_place;
}

bool TraceRouter::pump(std::span<char> buffer) {
  bool more = feed_ && feed_->pump(buffer, sink_);
  if (source_) more |= source_->pump(buffer, sink_);
  for (auto& retired : retired_) more |= retired.feed->pump(buffer, sink_);
  const auto now = Clock::now();
  std::erase_if(retired_, [&](const Retired& retired) {
    if (now < retired.until || retired.feed->tail().lag() > 0) return false;
    closed_ += retired.feed->totals();
    return true;
  });
  return more;
}

asio::awaitable<void> TraceRouter::drain(std::span<char> buffer) {
  // Bounded by what is there now: other events may keep the file growing.
  const auto enough = totals().bytes_read + lag_bytes();
  const auto executor = co_await asio::this_coro::executor;
  while (pump(buffer) && totals().bytes_read < enough + trace::decode_bytes_max) {
    co_await asio::post(executor, asio::use_awaitable);
  }
}

void TraceRouter::retire_feed() {
  retired_.push_back({std::move(feed_), Clock::now() + retired_for});
  destination_ = Destination::none;
}

bool TraceRouter::still_written() const {
  if (!process_) return true;
  struct stat ours {};
  const auto files = open_files(process_->pid);
  if (!files || ::fstat(feed_->file()->fd(), &ours) != 0) return true;
  return std::any_of(files->begin(), files->end(), [&](const OpenFile& file) {
    return file.inode == ours.st_ino && file.device == ours.st_dev;
  });
}

std::string TraceRouter::path() const {
  if (source_) return source_->place();
  return feed_ ? feed_->tail().path() : std::string();
}

std::string_view TraceRouter::backend() const {
  if (choice_) return to_string(choice_->backend);
  if (feed_ && feed_->format() == trace::TraceFormat::exec_log) return "exec-log";
  if (backends_.simple) return "simple";
  return backends_.log ? "log" : "none";
}

std::uint64_t TraceRouter::lag_bytes() const {
  std::uint64_t bytes = feed_ ? feed_->lag_bytes() : 0;
  if (source_) bytes += source_->lag_bytes();
  for (const auto& retired : retired_) bytes += retired.feed->tail().lag();
  return bytes;
}

std::uint64_t TraceRouter::allocated_bytes() const {
  std::uint64_t bytes = 0;
  const auto add = [&](const trace::TraceFeed& feed) {
    if (feed.file() == nullptr) return;
    if (const auto allocated = feed.file()->allocated_bytes()) bytes += *allocated;
  };
  if (feed_) add(*feed_);
  for (const auto& retired : retired_) add(*retired.feed);
  return bytes;
}

bool TraceRouter::look_for_room() {
  struct statvfs about {};
  const bool known =
      feed_ && feed_->tail().is_open() && ::fstatvfs(feed_->tail().fd(), &about) == 0;
  const bool full = known && std::uint64_t{about.f_bavail} * about.f_frsize < room_bytes_min;
  return std::exchange(full_, full) != full;
}

trace::FeedTotals TraceRouter::totals() const {
  auto totals = closed_;
  if (feed_) totals += feed_->totals();
  if (source_) totals += source_->totals();
  for (const auto& retired : retired_) totals += retired.feed->totals();
  return totals;
}

clockid_t TraceRouter::clock() const {
  if (source_) return source_->clock().value_or(CLOCK_REALTIME);
  return backends_.simple ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

std::optional<bool> TraceRouter::timestamps() const {
  if (source_) return source_->clock().has_value();
  if (backends_.simple) return true;
  if (!backends_.log) return std::nullopt;
  const auto seen = totals().decoder;
  if (!seen.span.empty()) return true;
  if (seen.records > 0) return false;
  if (!process_ || process_->arguments.empty()) return std::nullopt;
  return has_log_timestamps(*process_);
}

std::vector<std::string> TraceRouter::problems() const {
  std::vector<std::string> lines;
  if (!blocked_.empty()) lines.push_back(blocked_);
  if (!note_.empty()) lines.push_back(note_);
  if (log_unsafe_) lines.push_back("its log could not be put in a safe place yet; trying again");
  if (full_) {
    lines.push_back("the file system of " + path() +
                    " is full: QEMU loses records that it cannot write" +
                    (backends_.simple ? ", and is not asked to flush" : ""));
  }
  if (feed_ && !feed_->problem().empty()) {
    const auto& problem = feed_->problem();
    lines.push_back(problem.starts_with(path()) ? problem : path() + ": " + problem);
  }
  if (destination_ == Destination::in_place && was_removed(*feed_))
    lines.push_back(path() + " was removed: it is followed again once it is made anew");
  if (!not_followed_.empty())
    lines.push_back(
        std::to_string(not_followed_.size()) + " events are on and not followed, for instance " +
        events_.name(not_followed_.begin()->first) + ": " + not_followed_.begin()->second);
  if (source_) {
    for (auto& problem : source_->problems()) lines.push_back(std::move(problem));
    return lines;
  }
  // Nothing of an exec-log needs times.
  if (timestamps() == std::optional(false) && backend() != "exec-log") {
    lines.emplace_back("no timestamps in the log: start QEMU with -msg timestamp=on for latencies");
  }
  if (backends_.simple && backends_.log && log_.user_file) {
    lines.push_back("the log " + log_.user_file->target +
                    " grows too: a QEMU with both backends writes every event to both");
  }
  return lines;
}

}  // namespace qemon::daemon
