#include "daemon/log_destination.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

namespace qemon::daemon {
namespace {

/// The value behind the last option NAME or --NAME, as QEMU reads its command line.
std::optional<std::string> option_value(const ProcessInfo& process, std::string_view name) {
  std::optional<std::string> value;
  for (std::size_t i = 1; i + 1 < process.arguments.size(); ++i) {
    std::string_view argument = process.arguments[i];
    if (argument.starts_with("--")) argument.remove_prefix(1);
    if (argument.size() == name.size() + 1 && argument.front() == '-' &&
        argument.substr(1) == name) {
      value = process.arguments[++i];
    }
  }
  return value;
}

/// The member `key` of "a,key=value,b" with QEMU's doubled commas undone; the last one counts.
std::optional<std::string> suboption(std::string_view options, std::string_view key) {
  std::optional<std::string> found;
  std::string item;
  const auto flush = [&] {
    if (item.size() > key.size() && item.starts_with(key) && item[key.size()] == '=') {
      found = item.substr(key.size() + 1);
    }
    item.clear();
  };
  for (std::size_t i = 0; i < options.size(); ++i) {
    if (options[i] != ',') {
      item += options[i];
    } else if (i + 1 < options.size() && options[i + 1] == ',') {
      item += options[i++];
    } else {
      flush();
    }
  }
  flush();
  return found;
}

/// The log's file name as given at start, with %d (the process id) filled in.
std::optional<std::string> log_name_at_start(const ProcessInfo& process, bool simple_built_in) {
  auto name = option_value(process, "D");
  if (!name && !simple_built_in) {
    if (const auto trace = option_value(process, "trace")) name = suboption(*trace, "file");
  }
  if (name) {
    if (const auto pid = name->find("%d"); pid != std::string::npos) {
      name->replace(pid, 2, std::to_string(process.pid));
    }
  }
  return name;
}

bool is_mount_of(const std::string& folder, dev_t device) {
  struct stat inside {};
  struct stat around {};
  return ::stat(folder.c_str(), &inside) == 0 && inside.st_dev == device &&
         ::stat((folder + "/..").c_str(), &around) == 0 && around.st_dev != device;
}

/// Of a mount whose namespace is gone, as that of a qemond that was killed is (PrivateMounts=yes),
/// the kernel tells no more than the path inside the mount: "/web.trace".
bool in_directory_of_lost_mount(const OpenFile& file, const std::string& directory) {
  const auto slash = file.target.rfind('/');
  if (slash == std::string::npos) return false;
  const auto inside = file.target.substr(0, slash);
  return directory.ends_with(inside) &&
         is_mount_of(directory.substr(0, directory.size() - inside.size()), file.device);
}

bool in_directory(const OpenFile& file, const std::string& directory) {
  return !directory.empty() &&
         (file.target.starts_with(directory + "/") || in_directory_of_lost_mount(file, directory));
}

bool opened_for_writing(const OpenFile& file) {
  return (file.flags & O_ACCMODE) != O_RDONLY;
}

/// True if `file` is what QEMU opened under `name`. A relative name cannot always be resolved
/// (-daemonize and -chroot change the directory after the log was opened), so its last part
/// decides.
bool is_named(const OpenFile& file, const std::string& name, const std::string& cwd) {
  if (name.starts_with('/')) return file.target == name || file.target.ends_with(name);
  if (file.target == cwd + "/" + name) return true;
  const auto base = name.substr(name.rfind('/') + 1);
  return file.target.ends_with("/" + base);
}

/// True if `path` now names the very file that `file` has open.
bool still_there(const OpenFile& file) {
  return !file.deleted && !file.target.empty();
}

LogDestination standard_error(std::span<const OpenFile> files, const std::string& our_directory) {
  LogDestination destination;
  destination.restore = "/dev/null";
  const auto error = std::find_if(files.begin(), files.end(), [](const OpenFile& file) {
    return file.descriptor == STDERR_FILENO;
  });
  if (error == files.end()) return destination;
  switch (error->kind) {
    case FileKind::regular:
      // A daemonized QEMU dups its log onto descriptor 2: a file of ours there is what an earlier
      // qemond left.
      if (in_directory(*error, our_directory)) return destination;
      destination.user_file = *error;
      if (!still_there(*error)) destination.not_restorable = "standard error is a deleted file";
      return destination;
    case FileKind::fifo:
    case FileKind::character:
      // Opening a pipe or a terminal again truncates nothing. /dev/null by its own name, since a
      // daemonized QEMU makes descriptor 2 follow the log.
      destination.restore = error->target == "/dev/null" ? "/dev/null" : "/proc/self/fd/2";
      return destination;
    case FileKind::socket:
      destination.not_restorable = "standard error is a socket, which QEMU cannot open again";
      return destination;
    case FileKind::other:
      destination.not_restorable = "standard error is " + error->target;
      return destination;
  }
  return destination;
}

/// As QEMU's fopen() of a log leaves it.
bool is_opened_as_log(const OpenFile& file) {
  return file.descriptor > STDERR_FILENO && (file.flags & O_ACCMODE) == O_WRONLY &&
         (file.flags & O_CLOEXEC) == 0;
}

}  // namespace

std::vector<OpenFile> log_candidates(std::span<const OpenFile> files,
                                     const std::string& our_directory) {
  std::vector<OpenFile> candidates;
  for (const auto& file : files) {
    if (file.kind == FileKind::regular && is_opened_as_log(file) &&
        !in_directory(file, our_directory)) {
      candidates.push_back(file);
    }
  }
  return candidates;
}

std::optional<OpenFile> remote_file_named(std::span<const OpenFile> files,
                                          const std::string& path) {
  const auto found = std::find_if(files.begin(), files.end(), [&](const OpenFile& file) {
    return !file.remote.empty() && opened_for_writing(file) &&
           is_named(file, path.substr(path.rfind('/') + 1), {});
  });
  return found == files.end() ? std::nullopt : std::optional(*found);
}

bool is_log_silenced(std::span<const OpenFile> files) {
  return std::any_of(files.begin(), files.end(), [](const OpenFile& file) {
    return file.target == "/dev/null" && is_opened_as_log(file);
  });
}

bool has_file_in(std::span<const OpenFile> files, const std::string& our_directory) {
  return std::any_of(files.begin(), files.end(),
                     [&](const OpenFile& file) { return in_directory(file, our_directory); });
}

LogDestination log_destination_at_start(const ProcessInfo& process, std::span<const OpenFile> files,
                                        const std::string& our_directory, bool simple_built_in) {
  if (const auto name = log_name_at_start(process, simple_built_in)) {
    const auto log = std::find_if(files.begin(), files.end(), [&](const OpenFile& file) {
      return file.kind == FileKind::regular && opened_for_writing(file) &&
             !in_directory(file, our_directory) && is_named(file, *name, process.cwd);
    });
    if (log != files.end()) {
      LogDestination destination;
      destination.user_file = *log;
      return destination;
    }
  }
  return standard_error(files, our_directory);
}

bool has_log_timestamps(const ProcessInfo& process) {
  const auto options = option_value(process, "msg");
  if (!options) return false;
  if (const auto value = suboption(*options, "timestamp"))
    return *value == "on" || *value == "yes" || *value == "true";
  return *options == "timestamp";
}

}  // namespace qemon::daemon
