// TraceSource: where the records of a QEMU come from that writes no trace file for us: probes in
// its code, the kernel's trace buffer, the system's log.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/process_info.hpp"
#include "daemon/trace_backend.hpp"
#include "trace/decoder.hpp"
#include "trace/event_table.hpp"
#include "trace/trace_feed.hpp"

namespace qemon::daemon {

/// Owned by a TraceRouter, for as long as events are wanted of one QEMU process. One thread; the
/// coroutines are called one at a time, and pump() between them, but never before start() has
/// succeeded or after stop() has begun.
class TraceSource {
 public:
  virtual ~TraceSource() = default;

  /// Gets everything ready. An Error says what is missing and how to get it; nothing is left behind
  /// then, and the source is destroyed.
  virtual boost::asio::awaitable<Result<void>> start() = 0;
  /// Puts back what it changed on this host. Everything that is to be read was read before.
  virtual boost::asio::awaitable<void> stop() = 0;
  /// Has an event's records come, or come no more, whatever QEMU's own switch says; called before
  /// QEMU is told to switch the event on, and after it was told to switch it off, if it is told at
  /// all (is_switched_by_qemu()). Telling it twice is no error. After an Error the event is not
  /// switched on.
  virtual boost::asio::awaitable<Result<void>> switch_event(trace::EventIndex event, bool on) = 0;
  /// Makes what has happened until now readable by pump().
  virtual boost::asio::awaitable<Result<void>> flush() = 0;

  /// Reads what has come since, at most a megabyte or so, and never waits. True if more is waiting.
  /// `buffer` (of twice trace::decode_bytes_max) is shared by all VMs and free to use meanwhile.
  virtual bool pump(std::span<char> buffer, trace::RecordSink& sink) = 0;
  /// True if it will never make records again, though nobody stopped it; then another one is to be
  /// started in its place.
  [[nodiscard]] virtual bool has_ended() const { return false; }
  /// Dropped events are counted in `decoder.dropped_events`, and told to the sink where they are
  /// missing.
  [[nodiscard]] virtual trace::FeedTotals totals() const = 0;
  /// Bytes that are waiting to be read, as far as can be known.
  [[nodiscard]] virtual std::uint64_t lag_bytes() const = 0;
  /// The clock of the records' times; absent if they have none.
  [[nodiscard]] virtual std::optional<clockid_t> clock() const = 0;
  /// What is read, for people: "trace_pipe of the instance qemon-web1".
  [[nodiscard]] virtual std::string place() const = 0;
  /// What is degraded and why, a line each.
  [[nodiscard]] virtual std::vector<std::string> problems() const = 0;
  /// What nobody can know who follows this source, an indirect question each.
  [[nodiscard]] virtual std::vector<std::string> unknown() const = 0;
};

/// What a source is made with. References outlive it.
struct TraceSourceOptions {
  boost::asio::any_io_executor executor;
  std::string vm;  ///< Name of the VM, for what is made on the host.
  BackendChoice choice;
  ProcessInfo process;
  trace::EventTable& events;  ///< With the catalog of the process, if there is one.
};

/// Backends of a running QEMU whose records can be had without a file: what is seen of it from
/// outside says so, since it has no command to ask.
[[nodiscard]] std::vector<TraceBackend> find_source_backends(const ProcessInfo& process);

/// nullptr if this qemond was built without it, or it is no such backend.
[[nodiscard]] std::unique_ptr<TraceSource> make_trace_source(TraceSourceOptions options);

/// What a qemond that was killed may have left behind for this VM is removed, at the beginning of
/// each QEMU process.
void remove_left_sources(const std::string& vm);

}  // namespace qemon::daemon
