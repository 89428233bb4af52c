#include "plugin/figures_reader.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
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
constexpr int attempts_max = 10;  // A page is written in a fraction of a microsecond.

constexpr std::array<std::pair<std::string_view, std::uint32_t>, 4> levels{
    {{"count", level_count},
     {"memory", level_memory},
     {"blocks", level_blocks},
     {"all", level_all}}};
constexpr std::array<std::string_view, instruction_classes> class_names{
    "other", "move", "integer", "branch", "call", "return", "vector", "system"};

/// A symbolic link could lead to a server that does not answer.
int open_directly(const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_NO_SYMLINKS;
  const auto opened = ::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how);
  // Linux before 5.6, and containers that refuse what they do not know.
  if (opened < 0 && (errno == ENOSYS || errno == EPERM))
    return ::open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
  return static_cast<int>(opened);
}

Error why_not_opened(int number, const std::string& path) {
  Error error = system_error(number, path);
  if (number == ELOOP)
    error.detail = path + ": has a symbolic link in it: give the plugin the path without";
  else if (number == ENOENT)
    error.detail += ": it was removed, and QEMU makes it anew when it is started again";
  else if (number == EACCES)
    error.detail += ": start QEMU under umask 0002, with the file in /run/vms";
  return error;
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
  // Looked at before it is opened: to open a device or a file of the kernel's may do something.
  const UniqueFd place(open_directly(path, O_PATH));
  if (!place) return why_not_opened(errno, path);
  struct stat status {};
  if (fstat(place.get(), &status) != 0) return system_error(errno, path);
  if (!S_ISREG(status.st_mode)) return Error{path + ": is not a regular file"};
  if (status.st_size < static_cast<off_t>(sizeof(Header)))
    return Error{path + ": is not a file of libqemon-plugin.so"};
  const std::string same = "/proc/self/fd/" + std::to_string(place.get());
  UniqueFd file(::open(same.c_str(), O_RDWR | O_CLOEXEC));
  const bool is_writable = static_cast<bool>(file);
  if (!file) file = UniqueFd(::open(same.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return why_not_opened(errno, path);
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

/// QEMU, whose mapping holds the lock, has ended or was killed: what is there is all that there
/// will be. Looking takes no lock.
bool FiguresReader::is_abandoned() const {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return fcntl(file_.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

Result<Header> FiguresReader::read_header() const {
  Header header;
  if (auto copied = copy(&header, sizeof header, 0); !copied) return copied.error();
  if (!fits(header, bytes_))
    return Error{path_ + ": is damaged: what its header tells does not fit its size"};
  return header;
}

/// A look at all tells which have begun; then each of those is read by itself.
Result<Figures> FiguresReader::read() {
  auto header = read_header();
  if (!header) return header.error();
  Figures figures;
  figures.header = *header;
  const bool is_abandoned_by_qemu = is_abandoned();
  std::vector<Vcpu> pages(header->vcpu_slots);
  auto copied = copy(pages.data(), pages.size() * sizeof(Vcpu), header->vcpus_offset);
  if (!copied) return copied.error();
  for (std::uint32_t index = 0; index < header->vcpu_slots; ++index) {
    if (pages[index].started == 0) continue;
    const auto page = read_page(header->vcpus_offset + index * sizeof(Vcpu), is_abandoned_by_qemu);
    if (!page) return page.error();
    if (*page) last_[index] = **page;
  }
  for (const auto& [index, counts] : last_) figures.vcpus.push_back({index, counts});
  return figures;
}

/// Each vCPU's page by itself: a busy one writes it again after some ten microseconds, in which all
/// of them could not be copied.
Result<std::optional<Vcpu>> FiguresReader::read_page(std::uint64_t offset, bool is_at_rest) const {
  static_assert(offsetof(Vcpu, sequence) == 0);
  Vcpu page;
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    std::uint32_t before = 0, after = 0;
    auto copied = copy(&before, sizeof before, offset);
    if (copied) copied = copy(&page, sizeof page, offset);
    if (copied) copied = copy(&after, sizeof after, offset);
    if (!copied) return copied.error();
    if (is_at_rest || (before % 2 == 0 && before == after)) return std::optional(page);
  }
  return std::optional<Vcpu>();
}

Result<std::vector<Block>> FiguresReader::read_blocks(std::uint64_t first,
                                                      std::uint64_t count) const {
  const auto header = read_header();
  if (!header) return header.error();
  if (header->block_count > header->block_capacity)
    return Error{path_ + ": is damaged: it has more blocks than it has room for"};
  first = std::min(first, header->block_count);
  std::vector<Block> blocks(std::min(count, header->block_count - first));
  if (auto copied = copy(blocks.data(), blocks.size() * sizeof(Block),
                         header->blocks_offset + first * sizeof(Block));
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
  const UniqueFd place(open_directly(path_, O_PATH));
  return place && fstat(file_.get(), &ours) == 0 && fstat(place.get(), &there) == 0 &&
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
