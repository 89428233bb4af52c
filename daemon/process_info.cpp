#include "daemon/process_info.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <utility>

#include "daemon/proc_text.hpp"

namespace qemon::daemon {
namespace {

constexpr std::string_view deleted_suffix = " (deleted)";

std::string proc_path(pid_t pid, std::string_view file) {
  return "/proc/" + std::to_string(pid) + "/" + std::string(file);
}

std::string text_of(pid_t pid, std::string_view file) {
  return read_text(proc_path(pid, file)).value_or(std::string());
}

std::string read_link(const std::string& path) {
  std::array<char, 4096> target{};
  const auto length = ::readlink(path.c_str(), target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

bool strip_deleted(std::string& target) {
  if (!target.ends_with(deleted_suffix)) return false;
  target.resize(target.size() - deleted_suffix.size());
  return true;
}

/// The field behind "KEY:" in a status file.
std::string_view status_field(std::string_view status, std::string_view key) {
  const std::string wanted = "\n" + std::string(key) + ":";
  const auto at = status.find(wanted);
  if (at == std::string_view::npos) return {};
  auto value = status.substr(at + wanted.size());
  value = value.substr(0, value.find('\n'));
  value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
  return value;
}

/// The `index`-th blank-separated number of `text`, counted from 0.
std::optional<std::uint64_t> number_at(std::string_view text, int index, int base = 10) {
  for (;; --index) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    const auto end = std::min(text.find_first_of(" \t\n"), text.size());
    if (end == 0) return std::nullopt;
    if (index == 0) {
      std::uint64_t number = 0;
      const auto result = std::from_chars(text.data(), text.data() + end, number, base);
      if (result.ec != std::errc()) return std::nullopt;
      return number;
    }
    text.remove_prefix(end);
  }
}

std::optional<TaskStat> read_stat(pid_t pid) {
  return parse_task_stat(text_of(pid, "stat"));
}

FileKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::regular;
  if (S_ISFIFO(mode)) return FileKind::fifo;
  if (S_ISSOCK(mode)) return FileKind::socket;
  if (S_ISCHR(mode)) return FileKind::character;
  return FileKind::other;
}

/// See OpenFile::remote. A VM's disk on a server that is down must not hold up other VMs.
bool is_remote(std::string_view type) {
  static constexpr std::array<std::string_view, 16> types{
      "9p",   "afs",  "autofs", "beegfs", "ceph", "cifs",  "coda", "fuse",
      "gfs2", "gpfs", "ncpfs",  "nfs",    "nfs4", "ocfs2", "smb3", "lustre"};
  return type.starts_with("fuse.") || std::find(types.begin(), types.end(), type) != types.end();
}

/// Calls `take` with the id, the mount point and the type of each line of a mountinfo.
template <typename Take>
void each_mount(std::string_view mountinfo, Take take) {
  while (!mountinfo.empty()) {
    const auto line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(line.size() + 1, mountinfo.size()));
    // "36 35 98:0 /root /mnt rw shared:1 - ext3 /dev/root rw": paths have their blanks escaped.
    const auto id = number_at(line, 0);
    const auto separator = line.find(" - ");
    if (!id || separator == std::string_view::npos) continue;
    std::string_view point = line;
    for (int field = 0; field < 4; ++field)
      point.remove_prefix(std::min(point.find(' ') + 1, point.size()));
    point = point.substr(0, point.find(' '));
    const auto rest = line.substr(separator + 3);
    take(*id, point, rest.substr(0, rest.find(' ')));
  }
}

std::optional<OpenFile> inspect_descriptor(pid_t pid, int descriptor,
                                           const std::map<std::uint64_t, std::string>& remote) {
  const auto link = proc_path(pid, "fd/" + std::to_string(descriptor));
  const auto info = "\n" + text_of(pid, "fdinfo/" + std::to_string(descriptor));
  OpenFile file;
  file.descriptor = descriptor;
  file.target = read_link(link);
  if (file.target.empty()) return std::nullopt;  // Closed meanwhile.
  file.deleted = strip_deleted(file.target);
  if (const auto flags = number_at(status_field(info, "flags"), 0, 8))
    file.flags = static_cast<int>(*flags);
  const auto mount = number_at(status_field(info, "mnt_id"), 0);
  const auto found = mount ? remote.find(*mount) : remote.end();
  if (found != remote.end()) {
    file.kind = FileKind::regular;
    file.remote = found->second;
    return file;
  }
  struct stat about {};
  if (::stat(link.c_str(), &about) != 0) return std::nullopt;
  file.kind = kind_of(about.st_mode);
  file.device = about.st_dev;
  file.inode = about.st_ino;
  return file;
}

}  // namespace

std::optional<pid_t> process_of_thread(pid_t tid) {
  const auto status = text_of(tid, "status");
  const auto tgid = number_at(status_field(status, "Tgid"), 0);
  if (!tgid || *tgid == 0) return std::nullopt;
  return static_cast<pid_t>(*tgid);
}

Result<ProcessInfo> inspect_process(pid_t pid) {
  const auto stat = read_stat(pid);
  const auto status = text_of(pid, "status");
  if (!stat || status.empty()) {
    return Error{"there is no process " + std::to_string(pid) + " on this host"};
  }
  ProcessInfo process;
  process.pid = pid;
  process.start_ticks = stat->start_ticks;
  process.own_id = pid;
  const auto ids = status_field(status, "NSpid");
  for (int level = 0; const auto id = number_at(ids, level); ++level)
    process.own_id = static_cast<pid_t>(*id);
  process.uid = static_cast<uid_t>(number_at(status_field(status, "Uid"), 1).value_or(0));
  process.gid = static_cast<gid_t>(number_at(status_field(status, "Gid"), 1).value_or(0));
  process.exe = read_link(proc_path(pid, "exe"));
  process.exe_deleted = strip_deleted(process.exe);
  process.cwd = read_link(proc_path(pid, "cwd"));
  const auto command_line = text_of(pid, "cmdline");
  for (std::size_t at = 0; at < command_line.size();) {
    const auto end = std::min(command_line.find('\0', at), command_line.size());
    process.arguments.emplace_back(command_line, at, end - at);
    at = end + 1;
  }
  return process;
}

std::map<std::uint64_t, std::string> remote_mounts(std::string_view mountinfo) {
  std::map<std::uint64_t, std::string> mounts;
  each_mount(mountinfo, [&](std::uint64_t id, std::string_view, std::string_view type) {
    if (is_remote(type)) mounts.emplace(id, type);
  });
  return mounts;
}

/// A mount point without the kernel's escapes: "\\040" is a blank.
std::string unescaped(std::string_view text) {
  const auto is_octal = [](char digit) { return digit >= '0' && digit <= '7'; };
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 3 < text.size() &&
        std::all_of(&text[at + 1], &text[at] + 4, is_octal)) {
      plain += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 +
                                 (text[at + 3] - '0'));
      at += 3;
    } else {
      plain += text[at];
    }
  }
  return plain;
}

std::string remote_type_of(std::string_view path, std::string_view mountinfo) {
  std::string_view type_of_longest;
  std::size_t longest = 0;
  each_mount(mountinfo, [&](std::uint64_t, std::string_view escaped, std::string_view type) {
    const std::string point = escaped == "/" ? "" : unescaped(escaped);
    // The later one of two at the same place hides the other.
    if (point.size() < longest || !path.starts_with(point)) return;
    if (path.size() > point.size() && path[point.size()] != '/') return;
    longest = point.size();
    type_of_longest = type;
  });
  return is_remote(type_of_longest) ? std::string(type_of_longest) : std::string();
}

std::string remote_type_for(pid_t pid, std::string_view path) {
  const auto mounts = read_text(proc_path(pid, "mountinfo"));
  return mounts ? remote_type_of(path, *mounts) : "unknown";
}

Result<std::vector<OpenFile>> open_files(pid_t pid) {
  const auto directory = proc_path(pid, "fd");
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
  if (!entries) return system_error(errno, directory);
  const auto remote = remote_mounts(text_of(pid, "mountinfo"));
  std::vector<OpenFile> files;
  while (const auto* entry = ::readdir(entries.get())) {
    const std::string_view name(entry->d_name);
    int descriptor = -1;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), descriptor);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) continue;
    if (auto file = inspect_descriptor(pid, descriptor, remote)) files.push_back(std::move(*file));
  }
  std::sort(files.begin(), files.end(),
            [](const OpenFile& a, const OpenFile& b) { return a.descriptor < b.descriptor; });
  return files;
}

bool is_alive(const ProcessInfo& process) {
  const auto stat = read_stat(process.pid);
  return stat && stat->start_ticks == process.start_ticks && stat->state != 'Z' &&
         stat->state != 'X';
}

}  // namespace qemon::daemon
