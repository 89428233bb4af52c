#include "plugin/figures_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace qemon::plugin {

namespace {

void complain(const char* path, const char* what) {
  std::fprintf(stderr, "qemon-plugin: %s: %s\n", path, what);
}

/// Removes what an earlier QEMU left.
bool clear_place(const char* path) {
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
  const bool is_free = flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  close(descriptor);
  if (!is_ours)
    complain(path, "exists, and is not a file of this plugin: choose another path, or remove it");
  else if (!is_free)
    complain(path, "is in use by another QEMU: choose another path");
  else if (unlink(path) != 0)
    complain(path, std::strerror(errno));
  else
    return true;
  return false;
}

}  // namespace

bool make_figures_file(const Options& options, std::uint32_t vcpu_slots, FiguresFile& file) {
  if (!clear_place(options.path)) return false;
  const std::size_t blocks_offset = sizeof(Header) + vcpu_slots * sizeof(Vcpu);
  file.bytes = blocks_offset + options.block_capacity * sizeof(Block);
  const int descriptor =
      open(options.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660);
  if (descriptor < 0) {
    complain(options.path, std::strerror(errno));
    return false;
  }
  void* memory = MAP_FAILED;
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 &&
      ftruncate(descriptor, static_cast<off_t>(file.bytes)) == 0)
    memory = mmap(nullptr, file.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) {
    complain(options.path, std::strerror(errno));
    close(descriptor);
    unlink(options.path);
    return false;
  }
  close(descriptor);

  auto* bytes = static_cast<std::byte*>(memory);
  file.header = static_cast<Header*>(memory);
  file.vcpus = reinterpret_cast<Vcpu*>(bytes + sizeof(Header));
  file.blocks = reinterpret_cast<Block*>(bytes + blocks_offset);
  file.header->version = layout_version;
  file.header->vcpu_slots = vcpu_slots;
  file.header->vcpus_offset = sizeof(Header);
  file.header->blocks_offset = blocks_offset;
  file.header->block_capacity = options.block_capacity;
  file.header->pid = static_cast<std::uint64_t>(getpid());
  return true;
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
