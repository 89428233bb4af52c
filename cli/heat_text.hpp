// The heat map as text, with or without colours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>

#include "cli/execution_profile.hpp"

namespace qemon::cli {

enum class ColourMode : std::uint8_t { none, of_256, truecolor };

/// As wide as `columns` allow.
void print_heat_map(const ExecutionProfile& profile, std::size_t columns, ColourMode mode,
                    std::ostream& out);

/// "a page of 4.0 KiB", "16.0 KiB (4 pages)".
[[nodiscard]] std::string cell_text(std::uint64_t cell_bytes, std::uint64_t page_bytes);

/// "4 KiB", "1.2 MiB": powers of two have no decimal.
[[nodiscard]] std::string binary_bytes(std::uint64_t bytes);

}  // namespace qemon::cli
