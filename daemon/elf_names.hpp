// What functions of other libraries a program uses, as its file says.
#pragma once

#include <string>
#include <string_view>

namespace qemon::daemon {

/// Whether `name` is among the dynamic symbols' names of the ELF file at `path`. False if it cannot
/// be read, or is no such file.
[[nodiscard]] bool has_dynamic_name(const std::string& path, std::string_view name);

}  // namespace qemon::daemon
