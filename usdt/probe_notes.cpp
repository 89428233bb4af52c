#include "usdt/probe_notes.hpp"

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "base/program_file.hpp"

namespace qemon::usdt {
namespace {

constexpr std::string_view section_name = ".note.stapsdt";
constexpr std::string_view base_section_name = ".stapsdt.base";
constexpr std::string_view note_owner = "stapsdt";
constexpr std::uint32_t note_type = 3;
// Address of the probe, of the section .stapsdt.base, and of the semaphore.
constexpr std::size_t addresses_bytes = 3 * sizeof(std::uint64_t);

/// 0 for an address that nothing is loaded at.
std::uint64_t offset_of(std::uint64_t address, const ProgramFile& program) {
  for (const auto& segment : program.segments())
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz)
      return address - segment.p_vaddr + segment.p_offset;
  return 0;
}

/// Those of type stapsdt; empty if it has none.
Result<std::string> notes_of(const ProgramFile& program) {
  const auto* const section = program.section_named(section_name);
  if (section == nullptr || section->sh_type != SHT_NOTE) return {boost::system::in_place_value};
  return program.content(*section);
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

/// Those of the file at `path`.
Result<std::string> read_notes(const std::string& path) {
  const auto program = ProgramFile::open(path);
  if (!program) return program.error();
  return notes_of(*program);
}

}  // namespace

Result<ProbeSites> read_probes(const std::string& path, std::string_view provider) {
  const auto notes = read_notes(path);
  if (!notes) return notes.error();
  ProbeSites sites;
  for_each_probe(*notes, [&](const Probe& probe) {
    if (probe.provider == provider) ++sites[std::string(probe.name)];
    return true;
  });
  return sites;
}

Result<std::vector<ProbeSite>> find_sites(const std::string& path, std::string_view provider,
                                          std::string_view name) {
  const auto program = ProgramFile::open(path);
  if (!program) return program.error();
  const auto notes = notes_of(*program);
  if (!notes) return notes.error();
  // A section that moves with the code.
  const auto* const base = program->section_named(base_section_name);
  const std::uint64_t base_address = base != nullptr ? base->sh_addr : 0;
  std::vector<ProbeSite> sites;
  for_each_probe(*notes, [&](const Probe& probe) {
    if (probe.provider != provider || probe.name != name) return true;
    const auto moved = probe.base == 0 ? 0 : base_address - probe.base;
    const auto code = offset_of(probe.code + moved, *program);
    const auto semaphore = probe.semaphore == 0 ? 0 : offset_of(probe.semaphore + moved, *program);
    if (code != 0) sites.push_back({code, semaphore});
    return true;
  });
  return sites;
}

bool has_probes(const std::string& path, std::string_view provider) {
  const auto notes = read_notes(path);
  bool has = false;
  if (!notes) return has;
  for_each_probe(*notes, [&](const Probe& probe) {
    has = probe.provider == provider;
    return !has;
  });
  return has;
}

}  // namespace qemon::usdt
