// ProgramFile: the parts of a program's file (ELF) that say what is in it.
#pragma once

#include <elf.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qemon {

/// Of 64 bits and this host's byte order, as the QEMUs of this host are. The file is chosen by whom
/// we watch, so nothing in it is believed, and nothing is read that is too large.
class ProgramFile {
 public:
  /// An Error, which names the file, if it cannot be read or is no such file.
  [[nodiscard]] static Result<ProgramFile> open(const std::string& path);

  [[nodiscard]] const std::vector<Elf64_Phdr>& segments() const { return segments_; }
  /// The last section of that name; nullptr if there is none.
  [[nodiscard]] const Elf64_Shdr* section_named(std::string_view name) const;
  /// The first section of that type (SHT_...); nullptr if there is none.
  [[nodiscard]] const Elf64_Shdr* section_of_type(std::uint32_t type) const;
  /// The one that `section` refers to by sh_link; nullptr if there is none.
  [[nodiscard]] const Elf64_Shdr* linked_to(const Elf64_Shdr& section) const;
  /// What is in it; an Error names the file.
  [[nodiscard]] Result<std::string> content(const Elf64_Shdr& section) const;

 private:
  ProgramFile(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
  [[nodiscard]] Result<void> read_head();
  [[nodiscard]] Result<std::string> read_part(std::uint64_t offset, std::uint64_t size) const;
  template <typename T>
  [[nodiscard]] Result<std::vector<T>> read_all(std::uint64_t offset, std::size_t count) const;

  std::string path_;
  UniqueFd file_;
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Shdr> sections_;
  std::string names_;  // Of the sections, each ended by a NUL.
};

}  // namespace qemon
