#include "cli/text.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace qemon::cli {
namespace {

TEST(Text, PrintsNothingThatATerminalWouldActOn) {
  EXPECT_EQ(printable("web 1"), "web 1");
  EXPECT_EQ(printable("w\u00e9b \u20ac \U0001F600"), "w\u00e9b \u20ac \U0001F600");
  EXPECT_EQ(printable("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(printable("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\x7f"), "\\x7f");
  EXPECT_EQ(printable("\u009b31m"), "\\x9b31m");
  EXPECT_EQ(printable("\x9b"), "\\x9b");
  EXPECT_EQ(printable("a\xff\xc3"), "a\\xff\\xc3");
  EXPECT_EQ(printable("a\u202eb\u2028\u200b"), "a\\u202eb\\u2028\\u200b");
}

TEST(Text, CountsColumnsNotBytes) {
  EXPECT_EQ(columns(""), 0U);
  EXPECT_EQ(columns("abc"), 3U);
  EXPECT_EQ(columns("w\u00e9b\u20ac"), 4U);
}

TEST(Text, WritesBytesForPeople) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes(1258291), "1.2 MiB");
  EXPECT_EQ(human_bytes(1048575), "1.0 MiB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "16.0 EiB");
}

TEST(Text, WritesSecondsForPeople) {
  EXPECT_EQ(human_seconds(0), "0.0 s");
  EXPECT_EQ(human_seconds(0.23), "0.2 s");
  EXPECT_EQ(human_seconds(9.96), "10 s");
  EXPECT_EQ(human_seconds(59.6), "1m 0s");
  EXPECT_EQ(human_seconds(200), "3m 20s");
  EXPECT_EQ(human_seconds(7380), "2h 3m");
  EXPECT_EQ(human_seconds(349200), "4d 1h");
  EXPECT_EQ(human_seconds(-1), "unknown");
}

TEST(Text, ShortensListsOfNames) {
  std::vector<std::string> names;
  for (int i = 0; i < 8; ++i) names.push_back("e" + std::to_string(i));
  EXPECT_EQ(name_list(names), "e0, e1, e2, e3, e4, e5, e6, e7");

  names.insert(names.end(), 120, "x");
  EXPECT_EQ(name_list(names), "e0, e1, e2, e3, e4, e5, e6, e7 and 120 more");
  EXPECT_EQ(name_list({}), "");
}

TEST(Text, UnderstandsDurations) {
  EXPECT_EQ(*parse_seconds("500ms"), 0.5);
  EXPECT_EQ(*parse_seconds("60s"), 60);
  EXPECT_EQ(*parse_seconds("10m"), 600);
  EXPECT_EQ(*parse_seconds("1.5h"), 5400);
  EXPECT_EQ(*parse_seconds("2d"), 172800);
}

TEST(Text, RefusesWhatIsNoDuration) {
  for (const char* const text :
       {"", "s", "60", "-1s", "1e3s", "inf", "infs", "nans", "1 s", "1x", "1sec", "0x10s"})
    EXPECT_FALSE(parse_seconds(text).has_value()) << text;
  EXPECT_EQ(parse_seconds("0s").error().detail, "'0s' is no time at all: give a duration above 0");
}

TEST(Text, EncodesForARequest) {
  EXPECT_EQ(percent_encode("a-B.9_~ /*?&=%\xff"), "a-B.9_~%20%2F%2A%3F%26%3D%25%FF");
}

}  // namespace
}  // namespace qemon::cli
