#include "base/utf8.hpp"

#include <gtest/gtest.h>

#include <string>

namespace qemon {
namespace {

TEST(Utf8, KnowsWhatIsValid) {
  for (const std::string valid : {"a", "\u00e9", "\u20ac", "\U0001F600", "\uD7FF", "\U0010FFFF"})
    EXPECT_EQ(utf8_length(valid), valid.size()) << valid;
  for (const std::string invalid :
       {"", "\x80", "\xC0\xAF", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xE2\x82",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x80\x80\x80"})
    EXPECT_EQ(utf8_length(invalid), 0U) << testing::PrintToString(invalid);
}

TEST(OneLine, CutsAtACharacterAndRemovesControls) {
  EXPECT_EQ(one_line("a\nb\x7f"
                     "c\n"),
            "a b c");
  EXPECT_EQ(one_line("abcdef", 3), "abc...");
  EXPECT_EQ(one_line("ab\xc3\xa4xyz", 3), "ab...");
  EXPECT_EQ(one_line("\n\n"), "");
}

}  // namespace
}  // namespace qemon
