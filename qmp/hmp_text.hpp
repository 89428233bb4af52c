// The text conventions of the human monitor: how an argument is quoted, how an answer is cleaned.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace qemon::qmp {

/// `argument` in double quotes, as the human monitor's string and file name arguments read it back
/// unchanged. Newlines and NUL are refused: none of our paths has one, and a command line is one
/// line.
Result<std::string> quote_hmp_argument(std::string_view argument);

/// An answer of `human-monitor-command`: CRLF becomes LF, newlines at the end go.
std::string clean_hmp_text(std::string_view text);

/// What `trace-file` prints about itself.
struct TraceFileStatus {
  std::string name;
  bool on = false;
};

/// Reads `Trace file "NAME" on.` (or `off.`); the name may contain anything, including quotes.
Result<TraceFileStatus> parse_trace_file_status(std::string_view text);

/// One line of `info trace-events`. The name is a view into the text.
struct TraceEventLine {
  std::string_view name;
  bool on = false;  ///< Also false for an event that is compiled out.
};

/// Reads what `info trace-events` prints, `NAME : state 0` or `1` a line. Other lines are passed
/// over.
std::vector<TraceEventLine> parse_trace_event_lines(std::string_view text);

}  // namespace qemon::qmp
