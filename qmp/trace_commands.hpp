// The monitor commands that switch trace events and direct the trace, with typed arguments and
// answers.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "qmp/client.hpp"
#include "qmp/hmp_text.hpp"

// Each is a coroutine on a client that must outlive it. Errors say what was attempted; their code
// is the client's, or errc::command_failed where QEMU reports a failure as text or not at all.
namespace qemon::qmp {

/// As QEMU's schema has it (qapi/trace.json), and so is TraceEventInfo.
enum class TraceEventState {
  unavailable,  ///< Known, but compiled out.
  disabled,
  enabled,
};

struct TraceEventInfo {
  std::string name;
  TraceEventState state = TraceEventState::disabled;
};

/// The states of the events that `pattern` names, in QEMU's order. With a `*` it is a glob, and no
/// match is an empty list; without, it is one name, and an unknown one is an error.
boost::asio::awaitable<Result<std::vector<TraceEventInfo>>> get_event_states(
    Client& client, std::string pattern, std::chrono::milliseconds deadline = default_deadline);

/// What `info trace-events` prints about all events, for parse_trace_event_lines: without
/// "unavailable", but at a fifth of what get_event_states("*") costs QEMU's main loop (5 ms against
/// 25 ms for 4,000 events, measured on 7.2).
boost::asio::awaitable<Result<std::string>> list_trace_events(
    Client& client, std::chrono::milliseconds deadline = default_deadline);

/// Switches one event, by its exact name. An unavailable event is an error.
boost::asio::awaitable<Result<void>> set_event_state(
    Client& client, std::string name, bool enable,
    std::chrono::milliseconds deadline = default_deadline);

/// Runs a line on the human monitor. Whatever it prints is the result, also when it is an error
/// message: the human monitor does not tell them apart.
boost::asio::awaitable<Result<std::string>> human_command(
    Client& client, std::string line, std::chrono::milliseconds deadline = default_deadline);

/// Of the `simple` backend: the file's name and whether it is being written.
boost::asio::awaitable<Result<TraceFileStatus>> trace_file_status(
    Client& client, std::chrono::milliseconds deadline = default_deadline);

/// Names the `simple` backend's file; one that is on stays on and is emptied. QEMU opens it when it
/// is on, and says nothing when that fails, so the status is read back.
boost::asio::awaitable<Result<void>> set_trace_file(
    Client& client, std::string path, std::chrono::milliseconds deadline = default_deadline);

/// Begins or ends writing the `simple` backend's file, reading the status back. Beginning empties
/// the file.
boost::asio::awaitable<Result<void>> switch_trace_file(
    Client& client, bool on, std::chrono::milliseconds deadline = default_deadline);

/// Has the `simple` backend write out what it holds back, and waits for it.
boost::asio::awaitable<Result<void>> flush_trace_file(
    Client& client, std::chrono::milliseconds deadline = default_deadline);

/// Directs the `log` backend to `path`. 8.2 and later empty the file. After an error QEMU logs
/// nowhere, but remembers the path and may open it at the next `log ITEMS`: call again with a path
/// that works. A path with a percent sign is refused, because QEMU would put its process id into
/// it.
boost::asio::awaitable<Result<void>> set_logfile(
    Client& client, std::string path, std::chrono::milliseconds deadline = default_deadline);

/// A descriptor as QEMU holds it.
struct AddedDescriptor {
  std::int64_t fdset_id = 0;
  int fd = 0;  ///< Its number in QEMU's process.
};

/// Gives QEMU a copy of `fd`. QEMU drops it when this client's connection ends.
boost::asio::awaitable<Result<AddedDescriptor>> add_descriptor(
    Client& client, int fd, std::chrono::milliseconds deadline = default_deadline);

boost::asio::awaitable<Result<void>> remove_descriptors(
    Client& client, std::int64_t fdset_id, std::chrono::milliseconds deadline = default_deadline);

/// Which trace backends are built in, of those that can be followed.
struct Backends {
  bool simple = false;
  bool log = false;
  std::string how;  ///< How that was found out, one line for a person.
};

boost::asio::awaitable<Result<Backends>> detect_backends(
    Client& client, std::chrono::milliseconds deadline = default_deadline);

}  // namespace qemon::qmp
