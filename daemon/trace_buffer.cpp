#include "daemon/trace_buffer.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <thread>
#include <tuple>
#include <utility>

#include "base/text.hpp"
#include "daemon/proc_text.hpp"
#include "trace/trace_file.hpp"

namespace qemon::daemon {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view name_prefix = "qemon-";

// The rings of all processors together, and of each. A busy QEMU writes 10 MB a second, most of it
// on one processor.
constexpr std::uint64_t all_rings_kib = 32 * 1024;
constexpr std::uint64_t ring_kib_min = 1024, ring_kib_max = 8 * 1024;

// An instance begins with the options of the system's buffer.
constexpr std::array<std::string_view, 13> options{
    "context-info", "nolatency-format", "noraw",        "nohex",      "nobin",
    "noverbose",    "norecord-tgid",    "nosym-offset", "nosym-addr", "noprintk-msg-only",
    "noirq-info",   "overwrite",        "markers"};

constexpr std::string_view cure =
    "run qemond as root, or give its service CAP_DAC_OVERRIDE and "
    "ReadWritePaths=/sys/kernel/tracing/instances (examples/ftrace.conf)";

Result<void> write_text(const std::string& path, std::string_view text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return system_error(errno, path);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return system_error(errno, path);
  return {};
}

std::string first_line(const std::string& path) {
  const auto text = read_text(path);
  return text ? std::string(trimmed(std::string_view(*text).substr(0, text->find('\n'))))
              : std::string();
}

/// "local" of "[local] global counter".
std::string chosen_clock(const std::string& directory) {
  const auto line = first_line(directory + "/trace_clock");
  const auto open = line.find('['), close = line.find(']');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return line.substr(open + 1, close - open - 1);
}

bool exists(const std::string& path) {
  struct stat about {};
  return ::stat(path.c_str(), &about) == 0;
}

Error refused(int number, const std::string& path) {
  auto error = system_error(number, path);
  if (number == EACCES || number == EPERM || number == EROFS)
    error.detail += ": " + std::string(cure);
  if (number == EBUSY) error.detail += ": another program reads it: end that one";
  return error;
}

Result<UniqueFd> open_pipe(const std::string& directory) {
  const auto path = directory + "/trace_pipe";
  UniqueFd pipe(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!pipe) return refused(errno, path);
  return pipe;
}

Result<void> set_up(TraceBuffer& buffer) {
  const auto& directory = buffer.directory;
  // While it is open nobody can take the instance for one that a killed qemond left behind.
  auto pipe = open_pipe(directory);
  if (!pipe) return pipe.error();
  buffer.pipe = std::move(*pipe);
  const auto processors = static_cast<std::uint64_t>(std::max(::sysconf(_SC_NPROCESSORS_CONF), 1L));
  const auto kib = std::clamp(all_rings_kib / processors, ring_kib_min, ring_kib_max);
  // Less memory is no reason to do without: what does not fit is counted as lost.
  std::ignore = write_text(directory + "/buffer_size_kb", std::to_string(kib));
  std::ignore = write_text(directory + "/trace_clock", "mono");
  buffer.clock = chosen_clock(directory);
  for (const auto option : options)  // Not every kernel has each of them.
    std::ignore = write_text(directory + "/trace_options", option);
  return write_text(directory + "/options/copy_trace_marker", "1");
}

/// Reads what is there, to begin behind it.
void drop_content(const UniqueFd& pipe) {
  std::array<char, 16384> bytes{};
  // A system that is busy tracing would have us read for ever.
  constexpr int reads_max = 100'000;
  for (int reads = 0; reads < reads_max; ++reads)
    if (::read(pipe.get(), bytes.data(), bytes.size()) <= 0) return;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(directory.c_str()), ::closedir);
  while (const auto* entry = entries ? ::readdir(entries.get()) : nullptr)
    names.emplace_back(entry->d_name);
  return names;
}

/// Sums up what the statistics of all rings of a buffer say behind these keys.
std::uint64_t sum_of(const std::string& directory, std::initializer_list<std::string_view> keys) {
  std::uint64_t sum = 0;
  const auto folder = directory + "/per_cpu";
  for (const auto& name : names_in(folder)) {
    if (!name.starts_with("cpu")) continue;
    auto text = "\n" + read_text(folder + "/" + name + "/stats").value_or(std::string());
    for (const auto key : keys) {
      const auto at = text.find("\n" + std::string(key) + ": ");
      if (at == std::string::npos) continue;
      auto number = std::string_view(text).substr(at + key.size() + 3);
      sum += take_count(number).value_or(0);
    }
  }
  return sum;
}

/// The first kernels with this option (before "tracing: Fix trace_marker copy link list updates",
/// 2026) can leave a thread that is writing a marker just then in a loop, in which it writes the
/// marker into this instance for ever. Adding the instance again lets it go on.
void stop_copies(const std::string& directory) {
  constexpr int attempts = 100;
  const auto path = directory + "/options/copy_trace_marker";
  for (int attempt = 0; attempt < attempts && write_text(path, "0"); ++attempt) {
    std::this_thread::sleep_for(1ms);
    const auto written = sum_of(directory, {"entries", "overrun"});
    std::this_thread::sleep_for(1ms);
    if (sum_of(directory, {"entries", "overrun"}) == written) return;
    std::ignore = write_text(path, "1");
  }
}

Result<void> remove_instance(const std::string& directory) {
  stop_copies(directory);
  if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return {};
  const int number = errno;
  // Somebody reads it, who is to have further markers.
  if (number == EBUSY) std::ignore = write_text(directory + "/options/copy_trace_marker", "1");
  return system_error(number, directory);
}

/// A QEMU can have a file of any name open, but only the kernel makes such a file system.
bool is_tracefs(const std::string& folder) {
  struct statfs about {};
  return ::statfs(folder.c_str(), &about) == 0 && about.f_type == TRACEFS_MAGIC;
}

}  // namespace

Result<std::string> find_tracefs(const std::string& marker) {
  const std::array<std::string, 3> folders{marker.substr(0, marker.rfind('/')),
                                           "/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
  for (const auto& folder : folders) {
    if (&folder == folders.data() && !is_tracefs(folder)) continue;
    struct stat about {};
    if (::stat((folder + "/instances").c_str(), &about) == 0)
      return {boost::system::in_place_value, folder};
    if (errno == EACCES || errno == EPERM) return refused(errno, folder);
  }
  return Error{
      "the kernel's tracefs is not to be seen from here: mount -t tracefs tracefs "
      "/sys/kernel/tracing"};
}

std::string trace_instance_name(std::string_view vm, std::uint64_t pid) {
  return std::string(name_prefix) + trace::file_name(vm) + "-" + std::to_string(pid);
}

Result<std::optional<TraceBuffer>> make_trace_instance(const std::string& tracefs,
                                                       const std::string& name) {
  TraceBuffer buffer;
  buffer.directory = tracefs + "/instances/" + name;
  buffer.is_ours = true;
  const auto* const directory = buffer.directory.c_str();
  if (::mkdir(directory, 0750) != 0) {
    // Of a qemond that was killed; that of one that lives is busy.
    if (errno != EEXIST) return refused(errno, buffer.directory);
    if (auto removed = remove_instance(buffer.directory); !removed)
      return wrap(removed.error(), "another qemond follows this QEMU");
    if (::mkdir(directory, 0750) != 0) return refused(errno, buffer.directory);
  }
  if (!exists(buffer.directory + "/options/copy_trace_marker")) {
    if (::rmdir(directory) != 0) return system_error(errno, buffer.directory);
    return std::optional<TraceBuffer>();
  }
  if (auto ready = set_up(buffer); !ready) {
    std::ignore = close_trace_buffer(std::move(buffer));
    return ready.error();
  }
  return std::optional<TraceBuffer>(std::move(buffer));
}

Result<TraceBuffer> open_system_buffer(const std::string& tracefs) {
  TraceBuffer buffer;
  buffer.directory = tracefs;
  const std::string before = "this kernel has one buffer for everybody's markers, " + tracefs +
                             ", and somebody traces with it: ";
  const auto tracer = first_line(tracefs + "/current_tracer");
  if (!tracer.empty() && tracer != "nop")
    return Error{before + "echo nop >" + tracefs + "/current_tracer, if that is not needed"};
  if (const auto event = first_line(tracefs + "/set_event"); !event.empty())
    return Error{before + "echo >" + tracefs + "/set_event, if " + event + " is not needed"};
  auto pipe = open_pipe(tracefs);
  if (!pipe) return pipe.error();
  buffer.pipe = std::move(*pipe);
  drop_content(buffer.pipe);
  buffer.clock = chosen_clock(tracefs);
  return buffer;
}

Result<void> close_trace_buffer(TraceBuffer buffer) {
  buffer.pipe.reset();
  return buffer.is_ours ? remove_instance(buffer.directory) : Result<void>();
}

std::uint64_t bytes_held(const TraceBuffer& buffer) {
  return sum_of(buffer.directory, {"bytes"});
}

bool is_recording(const TraceBuffer& buffer) {
  return first_line(buffer.directory + "/tracing_on") != "0";
}

bool sees_hosts_thread_ids() {
  std::array<char, 64> target{};
  const auto size = ::readlink("/proc/self/ns/pid", target.data(), target.size() - 1);
  return size <= 0 || std::string_view(target.data()) == "pid:[4026531836]";
}

void remove_left_trace_instances(std::string_view vm) {
  // In a container, the processes that instances are named after cannot be told to be gone.
  if (!sees_hosts_thread_ids()) return;
  for (const std::string folder : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    if (!exists(folder + "/instances")) continue;
    remove_left_trace_instances(vm, folder);
    return;
  }
}

void remove_left_trace_instances(std::string_view vm, const std::string& tracefs) {
  const auto folder = tracefs + "/instances";
  const auto of_vm = std::string(name_prefix) + trace::file_name(vm) + "-";
  for (const auto& name : names_in(folder)) {
    if (!name.starts_with(name_prefix)) continue;
    const auto hyphen = name.rfind('-');
    auto digits = std::string_view(name).substr(hyphen + 1);
    const auto pid = take_count(digits);
    if (!pid || !digits.empty()) continue;
    const bool of_this_vm = std::string_view(name).substr(0, hyphen + 1) == of_vm;
    if (of_this_vm || !exists("/proc/" + std::to_string(*pid)))
      std::ignore = remove_instance(folder + "/" + name);
  }
}

}  // namespace qemon::daemon
