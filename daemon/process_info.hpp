// What /proc tells about a QEMU process: who runs it, from which binary, with which files open.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace qemon::daemon {

struct ProcessInfo {
  pid_t pid = 0;
  std::uint64_t start_ticks =
      0;             ///< Field 22 of /proc/PID/stat: with the pid, it names a process for good.
  pid_t own_id = 0;  ///< What it has for its pid itself; another number in a container.
  uid_t uid = 0;     ///< Effective user: what file permissions are checked against.
  gid_t gid = 0;
  std::string exe;           ///< Empty if we may not read it.
  bool exe_deleted = false;  ///< The binary was replaced or removed while it runs.
  std::string cwd;           ///< Empty if we may not read it.
  std::vector<std::string> arguments;

  [[nodiscard]] bool same_process(const ProcessInfo& other) const {
    return pid == other.pid && start_ticks == other.start_ticks;
  }
};

enum class FileKind : std::uint8_t { regular, fifo, socket, character, other };

/// One entry of /proc/PID/fd.
struct OpenFile {
  int descriptor = -1;
  FileKind kind = FileKind::other;
  std::string target;    ///< Path, or "pipe:[123]"; without the kernel's " (deleted)".
  bool deleted = false;  ///< The path is gone (or never was: memfd).
  int flags = 0;         ///< open(2) flags from fdinfo, for instance O_WRONLY | O_APPEND.
  dev_t device = 0;
  ino_t inode = 0;
  /// The type of the file system if that is a network's or a FUSE's ("nfs4", "fuse.sshfs"), whose
  /// server may not answer: such a file is not looked at, since whoever does waits for the server.
  /// Its kind is then taken to be a regular file, and device and inode are 0.
  std::string remote;
};

/// The process that thread `tid` belongs to. QEMU's monitor gives thread ids (query-cpus-fast);
/// they lead to the real process even where the socket's peer credentials do not (after -runas, or
/// with a socket passed in by libvirt).
[[nodiscard]] std::optional<pid_t> process_of_thread(pid_t tid);

/// Reads /proc/`pid`. What needs more rights than we have stays empty; an Error if there is no such
/// process.
[[nodiscard]] Result<ProcessInfo> inspect_process(pid_t pid);

/// The mounts that a /proc/PID/mountinfo tells whose server may not answer: type by mount id.
[[nodiscard]] std::map<std::uint64_t, std::string> remote_mounts(std::string_view mountinfo);

/// The type of the file system that `path` is on, if that is one whose server may not answer; else
/// empty. Told by a /proc/PID/mountinfo alone, so that nobody waits. `path` is absolute, and no
/// symbolic link leads elsewhere.
[[nodiscard]] std::string remote_type_of(std::string_view path, std::string_view mountinfo);

/// The same of a file as process `pid` sees it; "unknown" if its mounts cannot be read.
[[nodiscard]] std::string remote_type_for(pid_t pid, std::string_view path);

/// All open files of `pid`, by descriptor. An Error if we may not look: that takes the same user as
/// QEMU's, or CAP_SYS_PTRACE.
[[nodiscard]] Result<std::vector<OpenFile>> open_files(pid_t pid);

/// True while the process lives (zombies do not).
[[nodiscard]] bool is_alive(const ProcessInfo& process);

}  // namespace qemon::daemon
