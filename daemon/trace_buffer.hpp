// TraceBuffer: the kernel's trace buffer that QEMU's `ftrace` backend writes into: an instance of
// our own, or the one that the whole system shares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qemon::daemon {

/// What is to be read. The functions below wait for the kernel, some ten milliseconds and more on
/// hosts with many processors.
struct TraceBuffer {
  std::string directory;
  bool is_ours = false;  ///< An instance that is to be removed.
  UniqueFd pipe;         ///< Its trace_pipe, not blocking.
  std::string clock;     ///< "mono", "local", ...
};

/// The folder that tracefs is mounted on; `marker` is the path of the trace_marker that QEMU writes
/// to, as it sees it. An Error if there is none.
[[nodiscard]] Result<std::string> find_tracefs(const std::string& marker);

/// "qemon-web1-4711": by that name a later qemond knows what a killed one left behind.
[[nodiscard]] std::string trace_instance_name(std::string_view vm, std::uint64_t pid);

/// Makes an instance that gets a copy of each marker, with its own clock `mono`. Absent if this
/// kernel has no such copies; an Error says what is missing and how to get it.
[[nodiscard]] Result<std::optional<TraceBuffer>> make_trace_instance(const std::string& tracefs,
                                                                     const std::string& name);

/// The buffer of the whole system, of which nothing is changed. Refused while somebody traces with
/// it: what we read is gone for others. What it has now is dropped.
[[nodiscard]] Result<TraceBuffer> open_system_buffer(const std::string& tracefs);

/// Closes it, and removes it if it is ours; an Error names what is left.
Result<void> close_trace_buffer(TraceBuffer buffer);

/// Bytes that its rings hold on all processors.
[[nodiscard]] std::uint64_t bytes_held(const TraceBuffer& buffer);

/// False while somebody has switched the buffer off.
[[nodiscard]] bool is_recording(const TraceBuffer& buffer);

/// Whether the thread ids that the kernel's trace has are those that /proc has here: not within a
/// container.
[[nodiscard]] bool sees_hosts_thread_ids();

/// Removes instances of this VM that nobody reads, and those of QEMUs that are gone.
void remove_left_trace_instances(std::string_view vm);
/// The same with tracefs mounted on `tracefs`.
void remove_left_trace_instances(std::string_view vm, const std::string& tracefs);

}  // namespace qemon::daemon
