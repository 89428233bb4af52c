#include "usdt/probe_notes.hpp"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"

namespace qemon::usdt {
namespace {

// The notes of a QEMU with every device have 0.4 MB, its section headers 3 kB.
constexpr std::size_t section_bytes_max = 16 << 20;
constexpr std::size_t sections_max = 4096;
constexpr std::string_view section_name = ".note.stapsdt";
constexpr std::string_view base_section_name = ".stapsdt.base";
constexpr std::string_view note_owner = "stapsdt";
constexpr std::uint32_t note_type = 3;
// Address of the probe, of the section .stapsdt.base, and of the semaphore.
constexpr std::size_t addresses_bytes = 3 * sizeof(std::uint64_t);

Result<std::string> read_part(const UniqueFd& file, std::uint64_t offset, std::uint64_t size) {
  if (size > section_bytes_max) return Error{"its notes are too long"};
  std::string part(size, '\0');
  std::size_t at = 0;
  while (at < part.size()) {
    const auto got =
        ::pread(file.get(), part.data() + at, part.size() - at, static_cast<off_t>(offset + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "it cannot be read");
    if (got == 0) return Error{"it is cut short"};
    at += static_cast<std::size_t>(got);
  }
  return {boost::system::in_place_value, std::move(part)};
}

template <typename T>
Result<std::vector<T>> read_all(const UniqueFd& file, std::uint64_t offset, std::size_t count) {
  auto bytes = read_part(file, offset, count * sizeof(T));
  if (!bytes) return bytes.error();
  std::vector<T> all(count);
  if (count > 0) std::memcpy(all.data(), bytes->data(), bytes->size());
  return all;
}

/// What of a program file is needed here.
struct Program {
  std::vector<Elf64_Phdr> segments;
  std::string notes;               ///< Of type stapsdt; empty if it has none.
  std::uint64_t base_address = 0;  ///< Of .stapsdt.base, which moves with the code.

  /// 0 for an address that nothing is loaded at.
  [[nodiscard]] std::uint64_t offset_of(std::uint64_t address) const {
    for (const auto& segment : segments)
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
          address - segment.p_vaddr < segment.p_filesz)
        return address - segment.p_vaddr + segment.p_offset;
    return 0;
  }
};

Result<Program> read_program(const UniqueFd& file) {
  auto heads = read_all<Elf64_Ehdr>(file, 0, 1);
  if (!heads) return heads.error();
  const auto& head = heads->front();
  constexpr unsigned char here =
      std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  if (std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
      head.e_ident[EI_DATA] != here || head.e_shentsize != sizeof(Elf64_Shdr) ||
      head.e_phentsize != sizeof(Elf64_Phdr))
    return Error{"it is no 64-bit ELF file of this host's kind"};
  Program program;
  if (head.e_shnum > sections_max || head.e_shstrndx >= head.e_shnum) return program;
  auto segments = read_all<Elf64_Phdr>(file, head.e_phoff, head.e_phnum);
  if (!segments) return segments.error();
  program.segments = std::move(*segments);
  auto sections = read_all<Elf64_Shdr>(file, head.e_shoff, head.e_shnum);
  if (!sections) return sections.error();
  const auto& of_names = (*sections)[head.e_shstrndx];
  auto names = read_part(file, of_names.sh_offset, of_names.sh_size);
  if (!names) return names.error();
  for (const auto& section : *sections) {
    if (section.sh_name >= names->size()) continue;
    const std::string_view name = names->c_str() + section.sh_name;
    if (name == base_section_name) program.base_address = section.sh_addr;
    if (section.sh_type != SHT_NOTE || name != section_name) continue;
    auto notes = read_part(file, section.sh_offset, section.sh_size);
    if (!notes) return notes.error();
    program.notes = std::move(*notes);
  }
  return program;
}

/// The string up to the next NUL, which goes with it.
std::string_view take_string(std::string_view& bytes) {
  const auto end = std::min(bytes.find('\0'), bytes.size());
  const auto text = bytes.substr(0, end);
  bytes.remove_prefix(std::min(end + 1, bytes.size()));
  return text;
}

/// One note.
struct Probe {
  std::uint64_t code, base, semaphore;  ///< Addresses, for a program that has its base there.
  std::string_view provider, name;
};

/// Gives each probe to `take`, as long as that returns true.
template <typename Take>
void for_each_probe(std::string_view notes, Take take) {
  const auto padded = [](std::size_t size) { return (size + 3) & ~std::size_t{3}; };
  for (Elf64_Nhdr head; notes.size() >= sizeof head;) {
    std::memcpy(&head, notes.data(), sizeof head);
    notes.remove_prefix(sizeof head);
    if (notes.size() < padded(head.n_namesz)) return;
    auto owner = notes.substr(0, head.n_namesz);
    notes.remove_prefix(padded(head.n_namesz));
    if (notes.size() < head.n_descsz) return;
    auto description = notes.substr(0, head.n_descsz);
    notes.remove_prefix(std::min(padded(head.n_descsz), notes.size()));
    if (head.n_type != note_type || take_string(owner) != note_owner) continue;
    if (description.size() < addresses_bytes) continue;
    Probe probe{};
    std::memcpy(&probe.code, description.data(), sizeof probe.code);
    std::memcpy(&probe.base, description.data() + 8, sizeof probe.base);
    std::memcpy(&probe.semaphore, description.data() + 16, sizeof probe.semaphore);
    description.remove_prefix(addresses_bytes);
    probe.provider = take_string(description);
    probe.name = take_string(description);
    if (!take(probe)) return;
  }
}

Result<Program> read_program(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return system_error(errno, path);
  auto program = read_program(file);
  if (!program) return wrap(program.error(), path);
  return program;
}

}  // namespace

Result<ProbeSites> read_probes(const std::string& path, std::string_view provider) {
  const auto program = read_program(path);
  if (!program) return program.error();
  ProbeSites sites;
  for_each_probe(program->notes, [&](const Probe& probe) {
    if (probe.provider == provider) ++sites[std::string(probe.name)];
    return true;
  });
  return sites;
}

Result<std::vector<ProbeSite>> find_sites(const std::string& path, std::string_view provider,
                                          std::string_view name) {
  const auto program = read_program(path);
  if (!program) return program.error();
  std::vector<ProbeSite> sites;
  for_each_probe(program->notes, [&](const Probe& probe) {
    if (probe.provider != provider || probe.name != name) return true;
    const auto moved = probe.base == 0 ? 0 : program->base_address - probe.base;
    const auto code = program->offset_of(probe.code + moved);
    const auto semaphore = probe.semaphore == 0 ? 0 : program->offset_of(probe.semaphore + moved);
    if (code != 0) sites.push_back({code, semaphore});
    return true;
  });
  return sites;
}

bool has_probes(const std::string& path, std::string_view provider) {
  const auto program = read_program(path);
  bool has = false;
  if (!program) return has;
  for_each_probe(program->notes, [&](const Probe& probe) {
    has = probe.provider == provider;
    return !has;
  });
  return has;
}

}  // namespace qemon::usdt
