// Symbols: the names that ELF files give to guest addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace qemon::cli {

/// Functions and labels in code, of all files together; where two files have the same address, the
/// first one that was added tells its name. Names in C++ are shown as they were written.
class Symbols {
 public:
  /// `file`: FILE or FILE@0xADDRESS, where ADDRESS is where the first of its loadable segments was
  /// put, for files that do not tell (PIE, shared libraries, a kernel that moved itself). The Error
  /// names it and says what to do.
  [[nodiscard]] Result<void> add(const std::string& file);
  [[nodiscard]] bool empty() const { return files_.empty(); }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

  /// "main", "main+0x12"; nothing if it is outside of everything that has a name.
  [[nodiscard]] std::optional<std::string> find(std::uint64_t address) const;
  /// Of the file with that place in names().
  [[nodiscard]] std::optional<std::string> find_in(std::size_t file, std::uint64_t address) const;

 private:
  struct Symbol {
    std::uint64_t address = 0;
    std::uint64_t end = 0;
    std::string name;
    bool is_label = false;  // Without a size of its own.
    unsigned rank = 0;      // Of those with the same address the highest is shown.
  };
  using File = std::vector<Symbol>;  // By address.
  class Reader;

  std::vector<File> files_;
  std::vector<std::string> names_;
};

}  // namespace qemon::cli
