#include "base/text.hpp"

#include <gtest/gtest.h>

namespace qemon {
namespace {

TEST(Text, TellsTheFirstNamesOfAList) {
  EXPECT_EQ(shortened({"a"}), "a");
  EXPECT_EQ(shortened({"a", "b", "c", "d", "e"}), "a, b, c, d, e");
  EXPECT_EQ(shortened({"a", "b", "c", "d", "e", "f"}), "a, b, c, d and 2 more");
}

TEST(Text, HasNumbersInHexadecimal) {
  EXPECT_EQ(hexadecimal(0), "0x0");
  EXPECT_EQ(hexadecimal(0x7c00), "0x7c00");
  EXPECT_EQ(hexadecimal(~std::uint64_t{0}), "0xffffffffffffffff");
}

}  // namespace
}  // namespace qemon
