// TraceRouter: where one QEMU process's trace goes, how it is led to us and put back, and the files
// being followed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/journal_entry.hpp"
#include "daemon/log_destination.hpp"
#include "daemon/process_info.hpp"
#include "daemon/trace_backend.hpp"
#include "daemon/trace_source.hpp"
#include "qmp/client.hpp"
#include "qmp/trace_commands.hpp"
#include "trace/trace_feed.hpp"

namespace qemon::daemon {

enum class Destination : std::uint8_t { none, in_place, by_descriptor, by_path, source };
/// For people and JSON: "none", "in place", "file by descriptor", "file by path", "host".
[[nodiscard]] std::string_view to_string(Destination destination);

struct TraceRouterOptions {
  std::string vm;               ///< Name of the VM, for file names.
  std::string trace_directory;  ///< Where files of ours are made.
  bool same_host = true;  ///< False for a monitor on another host: its files cannot be followed.
  bool descriptor_passing = true;  ///< The monitor is a Unix socket and speaks QMP.
  bool human_monitor = false;      ///< The monitor speaks HMP only.
  /// A file of ours on a file system without holes is replaced by another one when it has grown to
  /// this.
  std::uint64_t replace_at_bytes = 64ULL << 20;
  /// Which backend is to be followed; the one that is preferred of those that QEMU has if absent.
  std::optional<BackendChoice> backend;
  /// Called before an event is switched on for an instant, to find out where the log goes, and with
  /// an empty name when it is off again. An Error keeps it from being switched on.
  std::function<Result<void>(const std::string& event)> before_probe;
};

/// Owned by a Vm, one for each QEMU process; it outlives monitor sessions, because the trace goes
/// on without them. The coroutines are called by the Vm's session only, one at a time. One thread.
///
/// A user's own log or trace file is followed where it is and never redirected, truncated or
/// punched. Otherwise the trace is led to a file of ours between start() and stop(), and put back
/// afterwards as far as QEMU allows.
class TraceRouter {
 public:
  TraceRouter(TraceRouterOptions options, trace::EventTable& events, trace::RecordSink& sink);
  ~TraceRouter();
  TraceRouter(const TraceRouter&) = delete;
  TraceRouter& operator=(const TraceRouter&) = delete;

  /// What the journal of a qemond that was killed says of this QEMU; called before the first
  /// attach().
  void left_behind(JournaledTrace trace) { left_behind_ = std::move(trace); }
  /// What is needed to put the trace back after we are killed: now, or once start() has begun.
  [[nodiscard]] JournaledTrace to_put_back(bool about_to_start) const;

  /// Decides which backend is followed, at the beginning of each monitor session. `process` is
  /// absent if it could not be found out.
  void choose(qmp::Backends backends, std::optional<ProcessInfo> process);
  /// Finds out where the trace goes, after choose(), and begins to follow what can be followed in
  /// place. An Error only if the session is over.
  boost::asio::awaitable<Result<void>> attach(qmp::Client& client);
  /// Instead of attach(), for a QEMU without a monitor: follows a file that it writes. `how` is
  /// what people are told of its format.
  void follow_file(trace::TraceFormat format, const std::string& path,
                   trace::FileTailOptions::Start start, std::string how);
  /// Leads the trace to us; called before the first event is switched on. An Error says why it
  /// cannot be done.
  /// `is_asked`: somebody waits for it. Otherwise a source that could not be started is not tried
  /// again for some seconds.
  boost::asio::awaitable<Result<void>> start(qmp::Client& client, bool is_asked);
  /// Reads what is there and puts the trace back where it was; called after the last event of ours
  /// was switched off.
  boost::asio::awaitable<Result<void>> stop(qmp::Client& client, std::span<char> buffer);
  /// Makes a `simple` QEMU write what it has pending.
  boost::asio::awaitable<Result<void>> flush(qmp::Client& client);
  /// Whatever has to be tried again or changed from time to time: a log that could not be put in a
  /// safe place, a file that has grown too big on a file system without holes.
  boost::asio::awaitable<Result<void>> maintain(qmp::Client& client);

  /// Reads what has been written since, up to a bounded amount. True if more is waiting.
  bool pump(std::span<char> buffer);
  /// Whether events are switched in QEMU. Else its switches mean nothing to us, and are left alone.
  [[nodiscard]] bool switches_in_qemu() const {
    return !choice_ || is_switched_by_qemu(choice_->backend);
  }
  /// Whether it is probes in QEMU's code that are followed, of which QEMU lists but a few.
  [[nodiscard]] bool follows_probes() const {
    return choice_ && choice_->backend == TraceBackend::usdt;
  }
  /// Has an event's records come, or come no more, where QEMU's own switch does not do it alone;
  /// to be called before an event is switched on and after it was switched off. After an Error it
  /// is not to be switched on.
  boost::asio::awaitable<Result<void>> switch_event(trace::EventIndex event, bool on);
  /// The same for all: these and no others are on.
  boost::asio::awaitable<void> follow_only(std::vector<trace::EventIndex> on);
  /// Reads what is there and puts back what needs no monitor; QEMU is gone.
  boost::asio::awaitable<void> end(std::span<char> buffer);
  /// Reads everything that is there now, in turns.
  boost::asio::awaitable<void> drain(std::span<char> buffer);

  [[nodiscard]] bool is_simple() const { return backends_.simple; }
  [[nodiscard]] bool following() const { return feed_ || source_; }
  /// Whether pump() has anything to read from, also what is followed no more.
  [[nodiscard]] bool reading() const { return following() || !retired_.empty(); }
  /// Between start() and stop(), with a file of ours.
  [[nodiscard]] bool redirected() const { return feed_ && feed_->file() != nullptr; }
  [[nodiscard]] Destination destination() const { return destination_; }
  [[nodiscard]] std::string path() const;
  [[nodiscard]] const std::string& backend_found_by() const { return backends_.how; }
  /// "simple", "log", "exec-log", "usdt", "ftrace", "lttng", "syslog", "none".
  [[nodiscard]] std::string_view backend() const;
  /// Bytes not yet decoded, over all feeds.
  [[nodiscard]] std::uint64_t lag_bytes() const;
  /// Of the current feed; 0 if there is none.
  [[nodiscard]] std::uint64_t size_bytes() const { return feed_ ? feed_->tail().size() : 0; }
  /// What the files of ours occupy.
  [[nodiscard]] std::uint64_t allocated_bytes() const;
  /// Looks whether the file system of the trace has room for QEMU to write on; called now and then
  /// while events are on. True if that changed.
  bool look_for_room();
  /// True while it had none. QEMU loses records then without saying so, and is not asked to flush:
  /// it would wait for a thread that cannot write.
  [[nodiscard]] bool is_full() const { return full_; }
  [[nodiscard]] trace::FeedTotals totals() const;
  /// What is degraded and why, a line each.
  [[nodiscard]] std::vector<std::string> problems() const;
  /// What cannot be known by way of what is followed, an indirect question each.
  [[nodiscard]] std::vector<std::string> unknown() const;
  /// Whether the log's lines have times: as seen, else as concluded from the command line; absent
  /// if neither can tell.
  [[nodiscard]] std::optional<bool> timestamps() const;
  /// The clock of the records' times, where they have any.
  [[nodiscard]] clockid_t clock() const;
  /// Whether it is told how many records were lost.
  [[nodiscard]] bool counts_drops() const { return backends_.simple || uses_source(); }

 private:
  void choose_backend();
  [[nodiscard]] bool uses_source() const { return choice_.has_value(); }
  boost::asio::awaitable<Result<void>> put_back_of_other_backend(qmp::Client& client);
  boost::asio::awaitable<Result<void>> start_source(bool is_asked);
  boost::asio::awaitable<void> stop_source(std::span<char> buffer);
  boost::asio::awaitable<void> drop_source();
  boost::asio::awaitable<Result<void>> attach_simple(qmp::Client& client);
  boost::asio::awaitable<Result<void>> attach_log(qmp::Client& client);
  boost::asio::awaitable<Result<void>> find_log(qmp::Client& client);
  boost::asio::awaitable<Result<std::optional<OpenFile>>> probe_log(
      qmp::Client& client, std::vector<OpenFile> candidates);
  boost::asio::awaitable<Result<void>> start_simple(qmp::Client& client,
                                                    std::int64_t not_before_ns);
  boost::asio::awaitable<Result<void>> start_log_by_descriptor(qmp::Client& client);
  boost::asio::awaitable<Result<void>> start_log_by_path(qmp::Client& client);
  boost::asio::awaitable<Result<void>> silence_log(qmp::Client& client);
  boost::asio::awaitable<Result<void>> restore_log(qmp::Client& client);
  boost::asio::awaitable<Result<void>> make_log_safe(qmp::Client& client);
  boost::asio::awaitable<Result<void>> replace_file(qmp::Client& client);
  void refuse_remote(const std::string& what, const OpenFile& file);
  void follow_in_place(trace::TraceFormat format, const std::string& path);
  Result<trace::TraceFile> make_file(bool by_descriptor) const;
  void adopt(trace::TraceFormat format, trace::TraceFile file, Destination destination,
             std::int64_t not_before_ns);
  void retire_feed();
  [[nodiscard]] bool still_written() const;
  [[nodiscard]] bool would_silence_log() const;

  TraceRouterOptions options_;
  trace::EventTable& events_;
  trace::RecordSink& sink_;
  qmp::Backends backends_;
  std::optional<ProcessInfo> process_;
  LogDestination log_;
  bool log_known_ = false;           // `log_` was found out.
  std::string blocked_;              // Why the trace cannot be led to us; empty if it can.
  std::string note_;                 // What is degraded although it works.
  std::string original_trace_file_;  // The name that `simple` had before us.
  std::optional<JournaledTrace> left_behind_;

  bool full_ = false;  // See look_for_room().
  Destination destination_ = Destination::none;
  std::unique_ptr<trace::TraceFeed> feed_;
  // Files that QEMU no longer writes to, or is about to leave. A vCPU that had looked at an event's
  // switch just before it went off may write its record after; it needs microseconds, unless the
  // host is very busy.
  static constexpr std::chrono::seconds retired_for{1};
  struct Retired {
    std::unique_ptr<trace::TraceFeed> feed;
    std::chrono::steady_clock::time_point until;
  };
  std::vector<Retired> retired_;
  std::optional<BackendChoice> choice_;  // Of a backend that needs a source.
  std::unique_ptr<TraceSource> source_;
  std::set<trace::EventIndex> followed_;                   // By the source.
  std::map<trace::EventIndex, std::string> not_followed_;  // Why it does not, though they are on.
  std::string source_problem_;                             // Why it could not be started last.
  std::chrono::steady_clock::time_point next_source_{};    // When that is tried again.
  trace::FeedTotals closed_;                               // Of sources and feeds that are gone.

  bool log_away_ = false;  // The log is where we put it: in our file, or silenced.
  // After a failed `logfile /proc/self/fd/N` QEMU remembers that name and opens it, truncating, at
  // the next `log ITEMS`: until `logfile /dev/null` has replaced it, N must stay our file. So the
  // set that holds N is removed only then.
  bool log_unsafe_ = false;
  std::optional<std::int64_t>
      unsafe_set_;  // Absent once the session that made it is over: QEMU then drops the set.
};

}  // namespace qemon::daemon
