#include "base/program_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

namespace qemon {
namespace {

// The notes of a QEMU with every device have 0.4 MB, its section headers 3 kB.
constexpr std::size_t part_bytes_max = 16 << 20;
constexpr std::size_t sections_max = 4096;

}  // namespace

Result<ProgramFile> ProgramFile::open(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return system_error(errno, path);
  ProgramFile program(path, std::move(file));
  if (auto read = program.read_head(); !read) return read.error();
  return program;
}

Result<void> ProgramFile::read_head() {
  auto heads = read_all<Elf64_Ehdr>(0, 1);
  if (!heads) return heads.error();
  const auto& head = heads->front();
  constexpr unsigned char here =
      std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  if (std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
      head.e_ident[EI_DATA] != here || head.e_shentsize != sizeof(Elf64_Shdr) ||
      head.e_phentsize != sizeof(Elf64_Phdr))
    return Error{path_ + ": it is no 64-bit ELF file of this host's kind"};
  if (head.e_shnum > sections_max || head.e_shstrndx >= head.e_shnum) return {};
  auto segments = read_all<Elf64_Phdr>(head.e_phoff, head.e_phnum);
  if (!segments) return segments.error();
  auto sections = read_all<Elf64_Shdr>(head.e_shoff, head.e_shnum);
  if (!sections) return sections.error();
  auto names = content((*sections)[head.e_shstrndx]);
  if (!names) return names.error();
  segments_ = std::move(*segments);
  sections_ = std::move(*sections);
  names_ = std::move(*names);
  return {};
}

const Elf64_Shdr* ProgramFile::section_named(std::string_view name) const {
  const auto found = std::find_if(sections_.rbegin(), sections_.rend(), [&](const auto& section) {
    return section.sh_name < names_.size() && name == names_.c_str() + section.sh_name;
  });
  return found == sections_.rend() ? nullptr : &*found;
}

const Elf64_Shdr* ProgramFile::section_of_type(std::uint32_t type) const {
  const auto found = std::find_if(sections_.begin(), sections_.end(),
                                  [&](const auto& section) { return section.sh_type == type; });
  return found == sections_.end() ? nullptr : &*found;
}

const Elf64_Shdr* ProgramFile::linked_to(const Elf64_Shdr& section) const {
  return section.sh_link < sections_.size() ? &sections_[section.sh_link] : nullptr;
}

Result<std::string> ProgramFile::content(const Elf64_Shdr& section) const {
  return read_part(section.sh_offset, section.sh_size);
}

Result<std::string> ProgramFile::read_part(std::uint64_t offset, std::uint64_t size) const {
  if (size > part_bytes_max) return Error{path_ + ": a part of it is too long"};
  std::string part(size, '\0');
  std::size_t at = 0;
  while (at < part.size()) {
    const auto got =
        ::pread(file_.get(), part.data() + at, part.size() - at, static_cast<off_t>(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, path_ + ": it cannot be read");
    if (got == 0) return Error{path_ + ": it is cut short"};
    at += static_cast<std::size_t>(got);
  }
  return {boost::system::in_place_value, std::move(part)};
}

template <typename T>
Result<std::vector<T>> ProgramFile::read_all(std::uint64_t offset, std::size_t count) const {
  const auto bytes = read_part(offset, count * sizeof(T));
  if (!bytes) return bytes.error();
  std::vector<T> all(count);
  if (count > 0) std::memcpy(all.data(), bytes->data(), bytes->size());
  return all;
}

}  // namespace qemon
