// Lines of the logs that QEMU shares with other programs: the kernel's trace_pipe and the files of
// syslog. Whose line is it, when was it written, and where does QEMU's own text begin?
#pragma once

#include <cstdint>
#include <string_view>

#include "trace/log_prefix.hpp"

namespace qemon::trace {

enum class SharedLog : std::uint8_t {
  ftrace,  ///< `trace_pipe`, to whose ring buffer QEMU's `ftrace` backend writes markers.
  syslog,  ///< A file of a syslog daemon, in its traditional format, with times of RFC 3339, or
           ///< that of RFC 5424.
};

struct SharedLogLine {
  enum class Kind : std::uint8_t {
    text,     ///< Does not begin as a line of this log does: goes on where the line before ended.
    message,  ///< `text` was written by the thread (`ftrace`) or process (`syslog`) `prefix.id`.
    loss,     ///< `count` messages were lost (0: nobody knows how many): of process `prefix.id` if
              ///< that is not 0, of the systemd unit `unit` if that is not empty, else of anybody.
    repetition,  ///< The message before came `count` times more.
    other,       ///< Something that is none of these.
  };

  Kind kind = Kind::text;
  LogPrefix prefix;  ///< It has a time if that is known to the microsecond.
  std::string_view text;
  std::uint64_t count = 1;  ///< Of a message: how often it came.
  std::string_view unit;
  bool cut = false;  ///< The end of `text` may be missing.
};

/// `line` is without its end. The forms, of which the part behind "[002]" depends on the options of
/// the trace:
///   "           <...>-31913   [001] ...1. 56477.171424: tracing_mark_write: NAME TEXT"
///   "CPU:2 [LOST 117 EVENTS]"
SharedLogLine parse_ftrace_line(std::string_view line);

/// The forms:
///   "Nov 26 06:08:26 host qemu-system-x86_64[1234]: NAME TEXT"
///   "Nov 26 06:08:26.540085 host ..."     `journalctl -o short-precise`
///   "2026-11-26T06:08:26.540085+01:00 host qemu-system-x86_64[1234]: NAME TEXT"
///   "1795673306.540085 host qemu-system-x86_64[1234]: NAME TEXT"     `journalctl -o short-unix`
///   "<30>1 2026-11-26T06:08:26.540085+01:00 host qemu-system-x86_64 1234 - -  NAME TEXT"
/// and in place of "NAME TEXT"
///   "message repeated 3 times: [ NAME TEXT]"
///   "imuxsock[pid: 1234, name: /usr/bin/qemu-system-x86_64]: 29 messages lost due to
///   rate-limiting" "Suppressed 917 messages from machine-qemu\x2d1\x2dweb1.scope"
/// The latter two are believed to rsyslogd and systemd-journald only. Without a fraction of six
/// digits or a time zone there is no time.
SharedLogLine parse_syslog_line(std::string_view line);

}  // namespace qemon::trace
