#include "base/json_nesting.hpp"

#include <gtest/gtest.h>

namespace qemon {
namespace {

TEST(JsonNesting, CountsWhatIsOpenAtOnce) {
  EXPECT_FALSE(nests_deeper_than("", 0));
  EXPECT_FALSE(nests_deeper_than("1", 0));
  EXPECT_TRUE(nests_deeper_than("[", 0));
  EXPECT_FALSE(nests_deeper_than("[[],[],{}]", 2));
  EXPECT_TRUE(nests_deeper_than(R"([[],[],{"a":[]}])", 2));
}

TEST(JsonNesting, DoesNotCountBracketsInStrings) {
  EXPECT_FALSE(nests_deeper_than(R"({"a[[[[":"{{{{\"[[\\"})", 1));
  EXPECT_TRUE(nests_deeper_than(R"({"a\\":[]})", 1));
}

TEST(JsonNesting, IsNotDeceivedByWhatIsClosedTooOften) {
  EXPECT_TRUE(nests_deeper_than("]]]]}}[[", 1));
}

}  // namespace
}  // namespace qemon
