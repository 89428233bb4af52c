#include "cli/table.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace qemon::cli {
namespace {

std::string text_of(const Table& table) {
  std::ostringstream out;
  table.print(out);
  return out.str();
}

TEST(Table, AlignsColumnsAndLeavesNoTrailingBlanks) {
  Table table({{"NAME"}, {"RECORDS", Table::Align::right}, {"NOTE"}});
  table.add({"a", "1", ""});
  table.add({"long name", "12345678", "x"});

  EXPECT_EQ(text_of(table),
            "NAME        RECORDS  NOTE\n"
            "a                 1\n"
            "long name  12345678  x\n");
}

TEST(Table, CountsColumnsOfNamesThatAreNotAscii) {
  Table table({{"N"}, {"M"}});
  table.add({"\u00e9\u00e9", "1"});
  table.add({"a\n", "2"});

  EXPECT_EQ(text_of(table),
            "N    M\n"
            "\u00e9\u00e9   1\n"
            "a\\n  2\n");
}

TEST(Table, PrintsItsTitlesWithoutRows) {
  EXPECT_EQ(text_of(Table({{"A"}, {"B"}})), "A  B\n");
}

}  // namespace
}  // namespace qemon::cli
