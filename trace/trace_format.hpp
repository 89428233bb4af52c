// TraceFormat: the forms of trace files that can be followed, and how to tell one from another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "trace/decoder.hpp"
#include "trace/event_table.hpp"

namespace qemon::trace {

enum class TraceFormat : std::uint8_t {
  simple,    ///< Of the `simple` backend.
  log,       ///< Lines of trace events in QEMU's log.
  exec_log,  ///< What `-d exec` and `-d cpu` log.
};

/// "simple", "log", "exec-log".
[[nodiscard]] std::string_view to_string(TraceFormat format);
/// The format of that name.
[[nodiscard]] std::optional<TraceFormat> trace_format_named(std::string_view name);

/// How many bytes of a file guess_format() wants to see, if there are as many.
inline constexpr std::size_t guess_bytes = 65536;

/// What a file that begins with `head` is. A text is an exec-log if more of its lines are of
/// `-d exec` and `-d cpu` than are not. Absent if too little is there to tell: no whole line.
[[nodiscard]] std::optional<TraceFormat> guess_format(std::string_view head);

/// A decoder for it. An exec-log's adds its two events to `events`.
[[nodiscard]] std::unique_ptr<Decoder> make_decoder(TraceFormat format, EventTable& events);

}  // namespace qemon::trace
