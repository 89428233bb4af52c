#include "cli/address_map.hpp"

#include <algorithm>
#include <bit>

namespace qemon::cli {
namespace {

/// Rows and marks of gaps between them, with rows of 1 << `row_shift` bytes.
std::size_t lines_of(std::span<const ExecutionProfile::Page> pages, unsigned row_shift) {
  std::size_t lines = 0;
  std::uint64_t last = 0;
  for (const auto& page : pages) {
    const std::uint64_t row = page.address >> row_shift;
    if (lines > 0 && row == last) continue;
    lines += lines > 0 && row > last + 1 ? 2 : 1;
    last = row;
  }
  return lines;
}

}  // namespace

AddressMap lay_out(std::span<const ExecutionProfile::Page> pages, std::uint64_t page_bytes,
                   std::size_t cells, std::size_t lines_max) {
  const auto cells_shift = static_cast<unsigned>(std::countr_zero(cells));
  auto cell_shift = static_cast<unsigned>(std::countr_zero(page_bytes));
  // Beyond that a row would be more than all addresses there are.
  while (cell_shift + cells_shift < 63 && lines_of(pages, cell_shift + cells_shift) > lines_max)
    ++cell_shift;
  const unsigned row_shift = cell_shift + cells_shift;
  AddressMap map;
  map.cell_bytes = std::uint64_t{1} << cell_shift;
  map.cells = cells;
  for (const auto& page : pages) {
    const std::uint64_t row = page.address >> row_shift;
    const std::uint64_t last = map.rows.empty() ? row : map.rows.back().address >> row_shift;
    if (map.rows.empty() || row != last) {
      auto& added = map.rows.emplace_back();
      added.address = row << row_shift;
      added.gap_bytes = row > last + 1 ? (row - last - 1) << row_shift : 0;
      added.counts.resize(cells);
    }
    auto& count = map.rows.back().counts[(page.address >> cell_shift) & (cells - 1)];
    count += page.count;
    map.most = std::max(map.most, count);
  }
  return map;
}

}  // namespace qemon::cli
