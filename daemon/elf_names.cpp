#include "daemon/elf_names.hpp"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/unique_fd.hpp"

namespace qemon::daemon {
namespace {

// Larger than any that is known, and small enough to be read at once.
constexpr std::uint64_t sections_max = 4096, names_bytes_max = 16 * 1024 * 1024;

bool read_at(const UniqueFd& file, void* into, std::size_t size, std::uint64_t offset) {
  return ::pread(file.get(), into, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

/// The string table of the section of dynamic symbols. QEMU's file has the byte order and the width
/// of its host, which is ours.
template <typename Header, typename Section>
std::optional<std::string> dynamic_names(const UniqueFd& file) {
  Header header{};
  if (!read_at(file, &header, sizeof header, 0)) return std::nullopt;
  if (header.e_shentsize != sizeof(Section) || header.e_shnum > sections_max) return std::nullopt;
  std::vector<Section> sections(header.e_shnum);
  if (!read_at(file, sections.data(), sections.size() * sizeof(Section), header.e_shoff))
    return std::nullopt;
  for (const auto& section : sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections.size()) continue;
    const auto& names = sections[section.sh_link];
    if (names.sh_size > names_bytes_max) return std::nullopt;
    std::string text(names.sh_size, '\0');
    if (!read_at(file, text.data(), text.size(), names.sh_offset)) return std::nullopt;
    return text;
  }
  return std::nullopt;
}

}  // namespace

bool has_dynamic_name(const std::string& path, std::string_view name) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<unsigned char, EI_NIDENT> identity{};
  if (!file || !read_at(file, identity.data(), identity.size(), 0)) return false;
  if (std::memcmp(identity.data(), ELFMAG, SELFMAG) != 0) return false;
  const auto names = identity[EI_CLASS] == ELFCLASS64 ? dynamic_names<Elf64_Ehdr, Elf64_Shdr>(file)
                                                      : dynamic_names<Elf32_Ehdr, Elf32_Shdr>(file);
  return names && names->find(std::string(1, '\0').append(name) + '\0') != std::string::npos;
}

}  // namespace qemon::daemon
