#include "daemon/followed_file.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>
#include <vector>

#include "base/unique_fd.hpp"
#include "base/utf8.hpp"
#include "daemon/proc_text.hpp"
#include "daemon/process_info.hpp"
#include "plugin/shared_figures.hpp"

namespace qemon::daemon {
namespace {

constexpr std::string_view prefix = "file:";
constexpr std::string_view plugin_backend = "tcg-plugin";
constexpr std::string_view how_to_write =
    "write file:PATH[,backend=simple|log|exec-log|tcg-plugin][,pid=PID][,from=beginning|end], with "
    "each comma of the path twice";

/// The parts between commas; two commas are one of the part's.
std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> parts(1);
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != ',') {
      parts.back() += text[at];
    } else if (text.substr(at + 1, 1) == ",") {
      parts.back() += text[at++];
    } else {
      parts.emplace_back();
    }
  }
  return parts;
}

Result<void> set_option(std::string_view key, const std::string& value, FollowedFile& file) {
  if (key == "backend") {
    file.format = trace::trace_format_named(value);
    file.is_plugin = value == plugin_backend;
    if (file.format || file.is_plugin) return {};
    return Error{"backend: there is no \"" + one_line(value) +
                 "\": write simple, log, exec-log or tcg-plugin"};
  }
  if (key == "pid") {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), pid);
    if (error != std::errc() || end != value.data() + value.size() || pid <= 0)
      return Error{"pid: \"" + one_line(value) + "\" is no process id"};
    file.pid = pid;
    return {};
  }
  if (key == "from") {
    file.from_beginning = value == "beginning";
    if (value == "beginning" || value == "end") return {};
    return Error{"from: write beginning or end"};
  }
  return Error{"\"" + one_line(key) + "\" is unknown: there are backend, pid and from"};
}

Error may_not_read(int number, const std::string& path) {
  return Error{system_error(number, path).detail +
               ": qemond must be allowed to read the file that the trace goes to"};
}

/// On a file system whose files are no files.
bool is_kernels(const struct statfs& system) {
  return system.f_type == PROC_SUPER_MAGIC || system.f_type == SYSFS_MAGIC ||
         system.f_type == TRACEFS_MAGIC || system.f_type == DEBUGFS_MAGIC;
}

/// Opened so that nobody has to wait, whatever it is.
Result<UniqueFd> open_regular(const std::string& path) {
  const auto mounts = read_text("/proc/self/mountinfo").value_or("");
  if (const auto type = remote_type_of(path, mounts); !type.empty())
    return Error{path + ": is on a file system of type " + type +
                 ", whose server may stop answering: have it written to a local file"};
  // Looked at before it is opened: opening a pipe would let its writer go on, and closing it end
  // it.
  const UniqueFd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!place && errno == ENOENT)
    return Error{path + ": is not there yet",
                 std::make_error_code(std::errc::no_such_file_or_directory)};
  struct stat about {};
  struct statfs system {};
  if (!place || ::fstat(place.get(), &about) != 0 || ::fstatfs(place.get(), &system) != 0)
    return may_not_read(errno, path);
  if (!S_ISREG(about.st_mode))
    return Error{path +
                 ": is no regular file, and only such a one can be followed: have QEMU "
                 "write to a file"};
  if (is_kernels(system))
    return Error{path + ": is the kernel's, and reading it may take away what others want to read"};
  const auto name = "/proc/self/fd/" + std::to_string(place.get());
  UniqueFd opened(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!opened) return may_not_read(errno, path);
  return opened;
}

/// Whether a file that begins so is what the TCG plugin publishes in.
bool is_figures(std::string_view head) {
  return head.starts_with(std::string_view(plugin::file_magic.data(), plugin::file_magic.size()));
}

}  // namespace

Result<FollowedFile> parse_followed_file(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return Error{"address \"" + one_line(text) + "\": " + why};
  };
  if (!text.starts_with(prefix)) return bad(std::string(how_to_write));
  const auto parts = split_options(text.substr(prefix.size()));
  FollowedFile file;
  file.path = parts.front();
  if (file.path.empty()) return bad("the path is missing; " + std::string(how_to_write));
  if (!file.path.starts_with('/') || (file.path + "/").find("/../") != std::string::npos)
    return bad("give an absolute path, without ..");
  if (!is_one_line(file.path)) return bad("a path with control characters is not followed");
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto equals = parts[i].find('=');
    if (equals == std::string::npos) return bad(std::string(how_to_write));
    const auto set = set_option(parts[i].substr(0, equals), parts[i].substr(equals + 1), file);
    if (!set) return bad(set.error().detail);
  }
  return file;
}

std::string to_string(const FollowedFile& file) {
  std::string text(prefix);
  for (const char c : file.path) text += c == ',' ? std::string(",,") : std::string(1, c);
  if (file.is_plugin) text += ",backend=" + std::string(plugin_backend);
  if (file.format) text += ",backend=" + std::string(trace::to_string(*file.format));
  if (file.pid) text += ",pid=" + std::to_string(*file.pid);
  if (file.from_beginning) text += ",from=beginning";
  return text;
}

Result<FollowedFile> identify(const FollowedFile& file) {
  auto opened = open_regular(file.path);
  if (!opened) return opened.error();
  FollowedFile found = file;
  if (found.format || found.is_plugin) return found;
  std::string head(trace::guess_bytes, '\0');
  const auto got = ::pread(opened->get(), head.data(), head.size(), 0);
  if (got < 0) return system_error(errno, file.path);
  head.resize(static_cast<std::size_t>(got));
  found.is_plugin = is_figures(head);
  // NUL bytes at the beginning are the hole that a truncation leaves under a writer.
  const auto text = head.find_first_not_of('\0');
  if (!found.is_plugin && text != std::string::npos)
    found.format = trace::guess_format(std::string_view(head).substr(text));
  if (!found.is_plugin && !found.format && head.size() == trace::guess_bytes)
    found.format = trace::TraceFormat::log;
  if (!found.is_plugin && !found.format)
    return Error{file.path + ": nothing is in it yet that tells what it is",
                 std::make_error_code(std::errc::no_message_available)};
  return found;
}

}  // namespace qemon::daemon
