// Where QEMU's log goes now, read from /proc, and what that allows: follow it in place, or redirect
// it for a while.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/process_info.hpp"

namespace qemon::daemon {

/// The destination of QEMU's log. No monitor command prints it, so it is concluded from the command
/// line and the open files.
struct LogDestination {
  /// The regular file that the log goes to and that is somebody else's: to be followed in place,
  /// never redirected.
  std::optional<OpenFile> user_file;
  /// Without `user_file`: what HMP `logfile` takes to put the log back after a redirection.
  std::string restore;
  /// Why `restore` is not exactly what was there before; empty when it is.
  std::string not_restorable;
};

/// Files that may be the log because somebody used HMP `logfile` since QEMU started: regular,
/// opened for writing only and inherited on exec, which is how QEMU's fopen() leaves them and what
/// none of its images, serial logs or pid files is. A file that QEMU inherited from its parent
/// looks the same, so the caller finds out by writing to the log (see Vm). Descriptors 0 to 2 and
/// files in `our_directory` are left out. One with `remote` cannot be looked into.
[[nodiscard]] std::vector<OpenFile> log_candidates(std::span<const OpenFile> files,
                                                   const std::string& our_directory);

/// The file that `path`, as QEMU tells it, leads to, if that is on a file system whose server may
/// not answer; symbolic links in the path are not followed, so the last part of it decides.
[[nodiscard]] std::optional<OpenFile> remote_file_named(std::span<const OpenFile> files,
                                                        const std::string& path);

/// True if QEMU has a file in `our_directory` open: what a qemond that was killed has left.
[[nodiscard]] bool has_file_in(std::span<const OpenFile> files, const std::string& our_directory);

/// True if QEMU has /dev/null open as a log: what is left of our silencing it, for as long as
/// nobody leads the log elsewhere.
[[nodiscard]] bool is_log_silenced(std::span<const OpenFile> files);

/// The file named by -D (or -trace file=, the same in a QEMU with the log backend alone) if it is
/// still open, else what standard error is. `simple_built_in`: -trace file= then names the binary
/// trace instead.
[[nodiscard]] LogDestination log_destination_at_start(const ProcessInfo& process,
                                                      std::span<const OpenFile> files,
                                                      const std::string& our_directory,
                                                      bool simple_built_in);

/// True if `process` was started with -msg timestamp=on. QEMU has no other way to tell, and none to
/// change it later.
[[nodiscard]] bool has_log_timestamps(const ProcessInfo& process);

}  // namespace qemon::daemon
