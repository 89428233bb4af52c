#include "exporters/mistakes.hpp"

#include <gtest/gtest.h>

namespace qemon::exporters {
namespace {

TEST(Mistakes, NameTheFileAndTheLine) {
  Mistakes mistakes("a.yaml");

  mistakes.add(3, "is wrong");
  mistakes.add(0, "is all wrong");

  EXPECT_EQ(mistakes.lines(),
            (std::vector<std::string>{"a.yaml:3: is wrong", "a.yaml: is all wrong"}));
  EXPECT_EQ(mistakes.size(), 2U);
  EXPECT_FALSE(mistakes.empty());
}

TEST(Mistakes, TakeOverThoseOfAnotherFile) {
  Mistakes mistakes("a.yaml"), others("b.yaml");
  mistakes.add(1, "x");
  others.add(2, "y");

  mistakes.append(others);

  EXPECT_EQ(mistakes.lines(), (std::vector<std::string>{"a.yaml:1: x", "b.yaml:2: y"}));
}

TEST(Mistakes, AreOneLineEachWhateverTheyQuote) {
  Mistakes mistakes("a.yaml");

  mistakes.add(1, "\"x\ny\r\x1b[31m\x7f\u00e9\"");

  EXPECT_EQ(mistakes.lines().front(), "a.yaml:1: \"x?y??[31m?\u00e9\"");
}

TEST(Mistakes, AreUtf8WhereverTheirQuotesAreCut) {
  Mistakes mistakes("a.yaml");

  mistakes.add(1, std::string_view("caf\u00e9").substr(0, 4));

  EXPECT_EQ(mistakes.lines().front(), "a.yaml:1: caf\uFFFD");
}

TEST(Nearest, FindsWhatIsOneLetterOff) {
  const std::vector<std::string_view> names{"vdev", "req", "sector", "nsectors"};

  EXPECT_EQ(nearest("nsector", names), "nsectors");
  EXPECT_EQ(nearest("sectors", names), "sector");
  EXPECT_EQ(nearest("vdv", names), "vdev");
  EXPECT_EQ(nearest("re", names), "req");
  EXPECT_EQ(nearest("sector", names), "sector");
}

TEST(Nearest, FindsNothingForAnotherWord) {
  EXPECT_EQ(nearest("bytes", {"vdev", "req", "sector"}), "");
  EXPECT_EQ(nearest("", {"vdev"}), "");
  EXPECT_EQ(nearest("vdev", {}), "");
  EXPECT_EQ(nearest("ab", {"xy"}), "");
}

TEST(DidYouMean, AsksOnlyIfThereIsSomethingNear) {
  EXPECT_EQ(did_you_mean("nsector", {"nsectors"}), " did you mean nsectors?");
  EXPECT_EQ(did_you_mean("bytes", {"nsectors"}), "");
}

}  // namespace
}  // namespace qemon::exporters
