// The part of TraceRouter that leads the trace to a file of ours and puts it back.
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <cerrno>
#include <ctime>
#include <limits>

#include "daemon/put_back.hpp"
#include "daemon/trace_router.hpp"
#include "qmp/error.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

constexpr std::int64_t any_time = std::numeric_limits<std::int64_t>::min();

}  // namespace

asio::awaitable<Result<void>> TraceRouter::start(qmp::Client& client, bool is_asked) {
  if (following()) co_return Result<void>();
  if (!blocked_.empty()) co_return Error{blocked_};
  if (uses_source()) co_return co_await start_source(is_asked);
  if (backends_.simple) co_return co_await start_simple(client, monotonic_ns());
  Error first;
  if (options_.descriptor_passing) {
    auto by_descriptor = co_await start_log_by_descriptor(client);
    if (by_descriptor || !qmp::is_refusal(by_descriptor.error())) co_return by_descriptor;
    first = by_descriptor.error();
  }
  // QEMU opens the file by name only if it was not just told to remember something dangerous.
  if (log_unsafe_) co_return first;
  auto by_path = co_await start_log_by_path(client);
  if (by_path || !qmp::is_refusal(by_path.error())) co_return by_path;
  auto restored = co_await restore_log(client);
  if (!restored) co_return restored.error();
  co_return by_path;
}

asio::awaitable<Result<void>> TraceRouter::start_simple(qmp::Client& client,
                                                        std::int64_t not_before_ns) {
  auto file = make_file(false);
  if (!file) co_return file.error();
  const std::string path = file->path();
  auto set = co_await qmp::set_trace_file(client, path);
  if (set) set = co_await qmp::switch_trace_file(client, true);
  if (!set) {
    if (!qmp::is_refusal(set.error())) co_return set.error();
    auto put_back = co_await qmp::set_trace_file(client, original_trace_file_);
    if (!put_back) co_return put_back.error();
    co_return wrap(set.error(), "QEMU cannot write " + path +
                                    " (its user must be allowed to pass through the folders)");
  }
  adopt(trace::TraceFormat::simple, std::move(*file), Destination::by_path, not_before_ns);
  co_return co_await silence_log(client);
}

asio::awaitable<Result<void>> TraceRouter::start_log_by_descriptor(qmp::Client& client) {
  auto file = make_file(true);
  if (!file) co_return file.error();
  auto added = co_await qmp::add_descriptor(client, file->fd());
  if (!added) co_return added.error();
  log_away_ = true;
  auto set = co_await qmp::set_logfile(client, "/proc/self/fd/" + std::to_string(added->fd));
  if (!set) {
    log_unsafe_ = true;
    unsafe_set_ = added->fdset_id;
    auto safe = co_await make_log_safe(client);
    if (!safe) co_return safe.error();
    co_return set.error();
  }
  adopt(trace::TraceFormat::log, std::move(*file), Destination::by_descriptor, any_time);
  auto removed = co_await qmp::remove_descriptors(client, added->fdset_id);
  // Not removing it costs QEMU one descriptor until we disconnect.
  if (!removed && !qmp::is_refusal(removed.error())) co_return removed.error();
  co_return Result<void>();
}

asio::awaitable<Result<void>> TraceRouter::start_log_by_path(qmp::Client& client) {
  auto file = make_file(false);
  if (!file) co_return file.error();
  const std::string path = file->path();
  log_away_ = true;
  auto set = co_await qmp::set_logfile(client, path);
  if (!set) co_return wrap(set.error(), "QEMU cannot log to " + path);
  adopt(trace::TraceFormat::log, std::move(*file), Destination::by_path, any_time);
  if (!still_written()) {
    retire_feed();
    co_return qmp::make_error(qmp::errc::command_failed,
                              "QEMU opened another " + path +
                                  " than ours: it sees other folders (a container or -chroot)");
  }
  co_return Result<void>();
}

asio::awaitable<Result<void>> TraceRouter::stop(qmp::Client& client, std::span<char> buffer) {
  if (source_) co_await stop_source(buffer);
  if (!redirected() && !log_away_) co_return Result<void>();
  if (redirected() && backends_.simple) {
    auto put_back = co_await put_trace_file_back(client, original_trace_file_);
    if (!put_back) co_return put_back.error();
  }
  auto restored = co_await restore_log(client);
  if (!restored) co_return restored.error();
  co_await drain(buffer);
  if (redirected()) retire_feed();
  co_return Result<void>();
}

bool TraceRouter::would_silence_log() const {
  return backends_.log && log_known_ && !log_.user_file && log_.restore != "/dev/null";
}

JournaledTrace TraceRouter::to_put_back(bool about_to_start) const {
  JournaledTrace trace;
  const bool leads = redirected() || (about_to_start && !feed_ && blocked_.empty());
  trace.trace_file_ours = leads && backends_.simple;
  if (trace.trace_file_ours) trace.trace_file = original_trace_file_;
  trace.log_away = log_away_ || (leads && (backends_.simple ? would_silence_log() : backends_.log));
  if (trace.log_away) trace.log_restore = log_.restore;
  if (!left_behind_) return trace;
  if (left_behind_->log_away && !trace.log_away) {
    trace.log_away = true;
    trace.log_restore = left_behind_->log_restore;
  }
  if (left_behind_->trace_file_ours && !trace.trace_file_ours) {
    trace.trace_file_ours = true;
    trace.trace_file = left_behind_->trace_file;
  }
  return trace;
}

asio::awaitable<Result<void>> TraceRouter::flush(qmp::Client& client) {
  if (source_) co_return co_await source_->flush();
  if (!backends_.simple || !feed_ || full_) co_return Result<void>();
  co_return co_await qmp::flush_trace_file(client);
}

/// With both backends built in, every event goes to the log as well: off with it where it is
/// nobody's file.
asio::awaitable<Result<void>> TraceRouter::silence_log(qmp::Client& client) {
  if (!would_silence_log()) co_return Result<void>();
  auto silenced = co_await qmp::set_logfile(client, "/dev/null");
  if (!silenced && !qmp::is_refusal(silenced.error())) co_return silenced.error();
  log_away_ = true;
  co_return Result<void>();
}

asio::awaitable<Result<void>> TraceRouter::restore_log(qmp::Client& client) {
  if (!log_away_) co_return Result<void>();
  if (log_unsafe_) {
    auto safe = co_await make_log_safe(client);
    if (!safe) co_return safe.error();
  }
  auto restored = co_await put_log_back(client, log_.restore);
  if (!restored) co_return restored.error();
  if (!restored->empty()) {
    note_ = "its log was on standard error and is nowhere now: " + *restored;
  } else if (!log_.not_restorable.empty()) {
    note_ = "its log could not be put back and is nowhere now: " + log_.not_restorable;
  }
  log_away_ = false;
  left_behind_.reset();
  co_return Result<void>();
}

asio::awaitable<Result<void>> TraceRouter::make_log_safe(qmp::Client& client) {
  auto nowhere = co_await qmp::set_logfile(client, "/dev/null");
  if (!nowhere) co_return nowhere.error();
  log_unsafe_ = false;
  log_away_ = true;
  if (!unsafe_set_) co_return Result<void>();
  const auto set = *unsafe_set_;
  unsafe_set_.reset();
  auto removed = co_await qmp::remove_descriptors(client, set);
  if (!removed && !qmp::is_refusal(removed.error())) co_return removed.error();
  co_return Result<void>();
}

asio::awaitable<Result<void>> TraceRouter::maintain(qmp::Client& client) {
  // Whoever wants events calls start() next.
  if (source_ && source_->has_ended()) co_await drop_source();
  if (log_unsafe_) {
    auto safe = co_await make_log_safe(client);
    if (!safe) co_return safe.error();
  }
  if (redirected() && feed_->outgrew(options_.replace_at_bytes))
    co_return co_await replace_file(client);
  co_return Result<void>();
}

/// Two files in turn: the file system cannot give back what was read, so QEMU is led to a new file
/// and the old one, once read, is removed.
asio::awaitable<Result<void>> TraceRouter::replace_file(qmp::Client& client) {
  // It is read, and counts, while QEMU is asked.
  const auto* const old = feed_.get();
  const auto old_destination = destination_;
  retired_.push_back({std::move(feed_), Clock::time_point::max()});
  Result<void> started;
  if (backends_.simple)
    started = co_await start_simple(client, any_time);
  else if (old_destination == Destination::by_descriptor)
    started = co_await start_log_by_descriptor(client);
  else
    started = co_await start_log_by_path(client);
  const auto place = std::find_if(retired_.begin(), retired_.end(), [&](const Retired& retired) {
    return retired.feed.get() == old;
  });
  if (feed_) {
    place->until = Clock::now() + retired_for;
  } else {
    feed_ = std::move(place->feed);
    retired_.erase(place);
    destination_ = old_destination;
  }
  co_return started;
}

Result<trace::TraceFile> TraceRouter::make_file(bool by_descriptor) const {
  auto file = trace::TraceFile::create(options_.trace_directory, options_.vm);
  if (!file) return file;
  if (by_descriptor) {
    // QEMU opens the file anew through its descriptor, so its user needs the mode's leave; without
    // a name, nobody else has a way to it.
    if (::fchmod(file->fd(), 0666) != 0) return system_error(errno, file->path());
    if (::unlink(file->path().c_str()) != 0) return system_error(errno, file->path());
  } else if (process_ && process_->uid != 0 && process_->uid != ::geteuid()) {
    if (auto allowed = file->allow(process_->uid); !allowed) return allowed.error();
  }
  return file;
}

void TraceRouter::adopt(trace::TraceFormat format, trace::TraceFile file, Destination destination,
                        std::int64_t not_before_ns) {
  feed_ = std::make_unique<trace::TraceFeed>(format, events_, std::move(file), not_before_ns);
  destination_ = destination;
  left_behind_.reset();
}

}  // namespace qemon::daemon
