// AddressMap: pages with their counts, laid out in rows of cells, without the emptiness between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cli/execution_profile.hpp"

namespace qemon::cli {

/// A row is of as many bytes as its cells, and begins at a multiple of that. Rows without samples
/// are left out; `gap_bytes` says how many bytes in front of a row that is.
struct AddressMap {
  struct Row {
    std::uint64_t address = 0;
    std::uint64_t gap_bytes = 0;
    std::vector<std::uint64_t> counts;  ///< One for each cell.
  };

  std::uint64_t cell_bytes = 0;
  std::size_t cells = 0;   ///< In a row.
  std::uint64_t most = 0;  ///< The count of the cell that has most.
  std::vector<Row> rows;
};

/// A cell is a page, or as many pages as it takes to be done with `lines_max` lines, the marks of
/// gaps among them. `pages` are by address; `cells` is a power of two.
[[nodiscard]] AddressMap lay_out(std::span<const ExecutionProfile::Page> pages,
                                 std::uint64_t page_bytes, std::size_t cells,
                                 std::size_t lines_max);

}  // namespace qemon::cli
