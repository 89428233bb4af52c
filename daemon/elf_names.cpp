#include "daemon/elf_names.hpp"

#include "base/program_file.hpp"

namespace qemon::daemon {

bool has_dynamic_name(const std::string& path, std::string_view name) {
  const auto program = ProgramFile::open(path);
  if (!program) return false;
  const auto* const symbols = program->section_of_type(SHT_DYNSYM);
  const auto* const section = symbols == nullptr ? nullptr : program->linked_to(*symbols);
  if (section == nullptr) return false;
  const auto names = program->content(*section);
  return names && names->find(std::string(1, '\0').append(name) + '\0') != std::string::npos;
}

}  // namespace qemon::daemon
