#include "plugin/figures_reader.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace qemon::plugin {

namespace {

constexpr std::uint32_t vcpu_slots_max = 4096;
constexpr std::uint64_t block_capacity_max = 1048576;
constexpr int attempts_max = 100;  // A page is written in a fraction of a microsecond.

constexpr std::array<std::pair<std::string_view, std::uint32_t>, 4> levels{
    {{"count", level_count},
     {"memory", level_memory},
     {"blocks", level_blocks},
     {"all", level_all}}};
constexpr std::array<std::string_view, instruction_classes> class_names{
    "other", "move", "integer", "branch", "call", "return", "vector", "system"};

/// A symbolic link could lead to a server that does not answer, and a FIFO would hold us up.
int open_directly(const std::string& path, int access) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(access | O_NONBLOCK | O_CLOEXEC);
  how.resolve = RESOLVE_NO_SYMLINKS;
  return static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how));
}

/// Both products are small, as the counts are checked first.
bool fits(const Header& header, std::uint64_t bytes) {
  if (header.vcpu_slots == 0 || header.vcpu_slots > vcpu_slots_max) return false;
  if (header.block_capacity > block_capacity_max) return false;
  const std::uint64_t vcpus = header.vcpu_slots * sizeof(Vcpu);
  const std::uint64_t blocks = header.block_capacity * sizeof(Block);
  return header.vcpus_offset <= bytes && vcpus <= bytes - header.vcpus_offset &&
         header.blocks_offset <= bytes && blocks <= bytes - header.blocks_offset;
}

}  // namespace

Result<FiguresReader> FiguresReader::open(const std::string& path) {
  bool is_writable = true;
  UniqueFd file(open_directly(path, O_RDWR));
  if (!file) {
    is_writable = false;
    file = UniqueFd(open_directly(path, O_RDONLY));
  }
  if (!file && errno == ELOOP)
    return Error{path + ": has a symbolic link in it: give the plugin the path without"};
  if (!file) return system_error(errno, path);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return system_error(errno, path);
  if (!S_ISREG(status.st_mode)) return Error{path + ": is not a regular file"};
  FiguresReader reader(path, std::move(file), is_writable,
                       static_cast<std::uint64_t>(status.st_size));
  Header header;
  if (const auto copied = reader.copy(&header, sizeof header, 0);
      !copied || header.magic != file_magic)
    return Error{path + ": is not a file of libqemon-plugin.so"};
  if (header.version != layout_version)
    return Error{path + ": is of layout " + std::to_string(header.version) +
                 ", and this is qemon " QEMON_VERSION ", which reads layout " +
                 std::to_string(layout_version) + ": start QEMU with the plugin that came with it"};
  if (!fits(header, reader.bytes_))
    return Error{path + ": is damaged: what its header tells does not fit its size"};
  return reader;
}

Result<void> FiguresReader::copy(void* to, std::size_t bytes, std::uint64_t from) const {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = pread(file_.get(), at, bytes, static_cast<off_t>(from));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, path_);
    if (got == 0) return Error{path_ + ": has been cut short"};
    at += got;
    bytes -= static_cast<std::size_t>(got);
    from += static_cast<std::uint64_t>(got);
  }
  return {};
}

/// Nothing if it does not hold still.
Result<std::optional<Vcpu>> FiguresReader::read_vcpu(std::uint64_t at) const {
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    std::uint32_t before = 0, after = 0;
    Vcpu page;
    if (auto copied = copy(&before, sizeof before, at); !copied) return copied.error();
    if (auto copied = copy(&page, sizeof page, at); !copied) return copied.error();
    if (auto copied = copy(&after, sizeof after, at); !copied) return copied.error();
    const bool is_whole = before == after && before % 2 == 0;
    if (is_whole || (attempt == 0 && is_abandoned())) return std::optional(page);
    ::sched_yield();
  }
  return std::optional<Vcpu>();
}

/// QEMU has ended, or was killed: what is there is all that there will be.
bool FiguresReader::is_abandoned() const {
  if (flock(file_.get(), LOCK_SH | LOCK_NB) != 0) return false;
  flock(file_.get(), LOCK_UN);
  return true;
}

Result<Figures> FiguresReader::read() {
  Figures figures;
  if (auto copied = copy(&figures.header, sizeof figures.header, 0); !copied) return copied.error();
  const Header& header = figures.header;
  if (!fits(header, bytes_))
    return Error{path_ + ": is damaged: what its header tells does not fit its size"};
  for (std::uint32_t index = 0; index < header.vcpu_slots; ++index) {
    const std::uint64_t at = header.vcpus_offset + index * sizeof(Vcpu);
    std::uint32_t started = 0;
    if (auto copied = copy(&started, sizeof started, at + offsetof(Vcpu, started)); !copied)
      return copied.error();
    if (started == 0) continue;
    const auto counts = read_vcpu(at);
    if (!counts) return counts.error();
    if (*counts) last_[index] = **counts;
    if (const auto last = last_.find(index); last != last_.end())
      figures.vcpus.push_back({index, last->second});
  }
  return figures;
}

Result<std::vector<Block>> FiguresReader::read_blocks() const {
  Header header;
  if (auto copied = copy(&header, sizeof header, 0); !copied) return copied.error();
  if (!fits(header, bytes_) || header.block_count > header.block_capacity)
    return Error{path_ + ": is damaged: what its header tells does not fit its size"};
  std::vector<Block> blocks(header.block_count);
  if (auto copied = copy(blocks.data(), blocks.size() * sizeof(Block), header.blocks_offset);
      !copied)
    return copied.error();
  return blocks;
}

Result<void> FiguresReader::want_level(std::uint32_t level) const {
  if (!is_writable_)
    return Error{
        path_ +
        ": may not be written, so that the level stays as it is: give us write access to it"};
  const ssize_t written = pwrite(file_.get(), &level, sizeof level, offsetof(Header, wanted_level));
  if (written != static_cast<ssize_t>(sizeof level))
    return system_error(written < 0 ? errno : EIO, path_);
  return {};
}

bool FiguresReader::is_still_there() const {
  struct stat ours {
  }, there{};
  return fstat(file_.get(), &ours) == 0 && lstat(path_.c_str(), &there) == 0 &&
         ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

std::string_view level_name(std::uint32_t level) {
  for (const auto& [name, bits] : levels) {
    if (bits == (level & level_all)) return name;
  }
  return "count";
}

Result<std::uint32_t> level_named(std::string_view name) {
  for (const auto& [known, bits] : levels) {
    if (known == name) return bits;
  }
  return Error{"unknown level '" + std::string(name) + "': use count, memory, blocks or all"};
}

std::string_view class_name(std::size_t instruction_class) {
  return instruction_class < class_names.size() ? class_names[instruction_class] : "other";
}

}  // namespace qemon::plugin
