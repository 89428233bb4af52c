#include "cli/address_map.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.hpp"

namespace qemon::cli {
namespace {

using Pages = std::vector<ExecutionProfile::Page>;

/// "0x0: 1 0 0 2 | 8192 | 0x4000: ...": rows, and gaps in front of them.
std::string text_of(const AddressMap& map) {
  std::string text;
  for (const auto& row : map.rows) {
    if (row.gap_bytes > 0) text += std::to_string(row.gap_bytes) + " | ";
    text += hexadecimal(row.address) + ":";
    for (const auto count : row.counts) text += " " + std::to_string(count);
    text += " | ";
  }
  return text;
}

TEST(AddressMap, ACellIsAPageWhileThereIsRoom) {
  const auto map = lay_out(Pages{{0x1000, 5}, {0x3000, 7}, {0x4000, 1}, {0x20000, 9}}, 4096, 4, 10);

  EXPECT_EQ(map.cell_bytes, 4096U);
  EXPECT_EQ(map.most, 9U);
  EXPECT_EQ(text_of(map), "0x0: 0 5 0 7 | 0x4000: 1 0 0 0 | 98304 | 0x20000: 9 0 0 0 | ");
}

TEST(AddressMap, CellsBecomeLargerUntilEverythingFits) {
  Pages pages;
  for (std::uint64_t at = 0; at < 64; ++at) pages.push_back({at << 12, 1});

  const auto map = lay_out(pages, 4096, 4, 4);

  EXPECT_EQ(map.cell_bytes, 4U * 4096);
  EXPECT_EQ(text_of(map),
            "0x0: 4 4 4 4 | 0x10000: 4 4 4 4 | 0x20000: 4 4 4 4 | 0x30000: 4 4 4 4 | ");
}

TEST(AddressMap, FirmwareAndAKernelAreFarApart) {
  const auto map =
      lay_out(Pages{{0xf0000, 1}, {0xffffffff81000000, 2}, {0xfffffffffffff000, 3}}, 4096, 4, 40);

  EXPECT_EQ(text_of(map),
            "0xf0000: 1 0 0 0 | 18446744071577845760 | 0xffffffff81000000: 2 0 0 0 | "
            "2130673664 | 0xffffffffffffc000: 0 0 0 3 | ");
}

TEST(AddressMap, OneLineIsEnoughForAllAddresses) {
  const auto map = lay_out(Pages{{0, 1}, {0xfffffffffffff000, 3}}, 4096, 64, 1);

  // Half of all addresses are a row at most.
  EXPECT_EQ(map.rows.size(), 2U);
  EXPECT_EQ(map.rows.back().address, 0x8000000000000000);
  EXPECT_EQ(map.rows.back().counts.back(), 3U);
}

TEST(AddressMap, NothingHasNoRows) {
  EXPECT_TRUE(lay_out(Pages{}, 4096, 64, 40).rows.empty());
}

}  // namespace
}  // namespace qemon::cli
