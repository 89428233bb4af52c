// FollowedFile: a VM that is a trace somebody else has written: a QEMU without a monitor, such as
// one in user mode, or one that is none of ours to control.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "trace/trace_format.hpp"

namespace qemon::daemon {

struct FollowedFile {
  std::string path;
  /// What the file is; found out from its beginning if it is not told.
  std::optional<trace::TraceFormat> format;
  bool is_plugin = false;    ///< It is what the TCG plugin publishes in, not a trace.
  std::optional<pid_t> pid;  ///< Of the QEMU that writes it, which then is told about as well.
  /// Whether what is in the file when it is first looked at counts too.
  bool from_beginning = false;

  bool operator==(const FollowedFile&) const = default;
};

/// "file:PATH[,backend=simple|log|exec-log|tcg-plugin][,pid=PID][,from=beginning|end]", as QEMU
/// writes options: a comma of the path is written twice. An Error says how to write it.
[[nodiscard]] Result<FollowedFile> parse_followed_file(std::string_view text);

/// The text that parse_followed_file reads back.
[[nodiscard]] std::string to_string(const FollowedFile& file);

/// What `file` is, told or found out: as above, with the format or is_plugin set. An Error says why
/// it cannot be followed; its code is no_such_file_or_directory or no_message_available if it only
/// is not there yet, or has nothing in it that would tell.
[[nodiscard]] Result<FollowedFile> identify(const FollowedFile& file);

}  // namespace qemon::daemon
