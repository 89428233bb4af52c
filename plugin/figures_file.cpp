#include "plugin/figures_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace qemon::plugin {

namespace {

void complain(const char* path, const char* what) {
  std::fprintf(stderr, "qemon-plugin: %s: %s\n", path, what);
}

/// A write lock on the whole file, which the open file description holds, and so a mapping of it.
struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

/// Whether nothing is there, or what an earlier QEMU left.
bool is_free(const char* path) {
  const int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return true;
    complain(path, std::strerror(errno));
    return false;
  }
  decltype(Header::magic) magic{};
  const bool is_ours =
      read(descriptor, magic.data(), magic.size()) == static_cast<ssize_t>(magic.size()) &&
      magic == file_magic;
  auto lock = whole_file();
  const bool is_used = fcntl(descriptor, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
  close(descriptor);
  if (!is_ours)
    complain(path, "exists, and is not a file of this plugin: choose another path, or remove it");
  else if (is_used)
    complain(path, "is in use by another QEMU: choose another path");
  return is_ours && !is_used;
}

/// Maps a file of that size, all of it there: where there is no room now, QEMU says so, instead of
/// being killed when it writes. 0, or an errno value.
int map_new(const char* path, FiguresFile& file) {
  const int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660);
  if (descriptor < 0) return errno;
  auto lock = whole_file();
  int failure = fcntl(descriptor, F_OFD_SETLK, &lock) != 0 ? errno : 0;
  if (failure == 0) failure = posix_fallocate(descriptor, 0, static_cast<off_t>(file.bytes));
  void* memory = MAP_FAILED;
  if (failure == 0) {
    memory = mmap(nullptr, file.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED) failure = errno;
  }
  close(descriptor);
  if (failure != 0)
    unlink(path);
  else
    file.header = static_cast<Header*>(memory);
  return failure;
}

}  // namespace

bool make_figures_file(const Options& options, const Header& about, std::uint32_t vcpu_slots,
                       FiguresFile& file) {
  if (!is_free(options.path)) return false;
  const std::size_t blocks_offset = sizeof(Header) + vcpu_slots * sizeof(Vcpu);
  file.bytes = blocks_offset + options.block_capacity * sizeof(Block);
  char unfinished[4096];
  const int length = std::snprintf(unfinished, sizeof unfinished, "%s.%d", options.path, getpid());
  if (length < 0 || static_cast<std::size_t>(length) >= sizeof unfinished) {
    complain(options.path, std::strerror(ENAMETOOLONG));
    return false;
  }
  unlink(unfinished);  // Of a process that had our number and was killed.
  if (const int failure = map_new(unfinished, file); failure != 0) {
    complain(options.path, std::strerror(failure));
    return false;
  }
  auto* bytes = reinterpret_cast<std::byte*>(file.header);
  file.vcpus = reinterpret_cast<Vcpu*>(bytes + sizeof(Header));
  file.blocks = reinterpret_cast<Block*>(bytes + blocks_offset);
  *file.header = about;
  file.header->magic = file_magic;
  file.header->version = layout_version;
  file.header->vcpu_slots = vcpu_slots;
  file.header->vcpus_offset = sizeof(Header);
  file.header->blocks_offset = blocks_offset;
  file.header->block_capacity = options.block_capacity;
  file.header->pid = static_cast<std::uint64_t>(getpid());
  if (rename(unfinished, options.path) == 0) return true;
  complain(options.path, std::strerror(errno));
  unlink(unfinished);
  munmap(file.header, file.bytes);
  return false;
}

void make_private(const FiguresFile& file) {
  const Header header = *file.header;
  void* memory = mmap(file.header, file.bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  // Better not to run on than to count into the parent's figures.
  if (memory == MAP_FAILED) _exit(127);
  *file.header = header;
}

}  // namespace qemon::plugin
