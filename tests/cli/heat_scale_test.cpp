#include "cli/heat_scale.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qemon::cli {
namespace {

using testing::ElementsAre;

std::vector<std::string> marks_of(std::uint64_t most) {
  std::vector<std::string> texts;
  for (const auto& [place, text] : HeatScale(most).marks()) texts.push_back(text);
  return texts;
}

TEST(HeatScale, IsLogarithmic) {
  const HeatScale scale(10'000);

  EXPECT_DOUBLE_EQ(scale.place(1), 0);
  EXPECT_DOUBLE_EQ(scale.place(10), 0.25);
  EXPECT_DOUBLE_EQ(scale.place(100), 0.5);
  EXPECT_DOUBLE_EQ(scale.place(10'000), 1);
  EXPECT_EQ(scale.step(1, 4), 0U);
  EXPECT_EQ(scale.step(99, 4), 1U);
  EXPECT_EQ(scale.step(10'000, 4), 3U);
}

TEST(HeatScale, WhereAllCountsAreOneTheyAreTheMost) {
  EXPECT_DOUBLE_EQ(HeatScale(1).place(1), 1);
  EXPECT_THAT(marks_of(1), ElementsAre("1"));
}

TEST(HeatScale, IsMarkedAtPowersOfTenAndAtItsEnd) {
  EXPECT_THAT(marks_of(5), ElementsAre("1", "5"));
  EXPECT_THAT(marks_of(16'329), ElementsAre("1", "10", "100", "1 k", "16.33 k"));
  EXPECT_THAT(marks_of(1000), ElementsAre("1", "10", "100", "1 k"));
  EXPECT_THAT(marks_of(~std::uint64_t{0}).back(), "1.845e+07 T");
}

TEST(HeatColour, GoesFromVioletToYellowAndGetsLighter) {
  EXPECT_EQ(heat_colour(0), (Colour{0x44, 0x01, 0x54}));
  EXPECT_EQ(heat_colour(1), (Colour{0xfd, 0xe7, 0x25}));
  EXPECT_EQ(heat_colour(-3), heat_colour(0));
  double last = -1;
  for (int i = 0; i <= 100; ++i) {
    const auto colour = heat_colour(i / 100.0);
    const double lightness = 0.2126 * colour.red + 0.7152 * colour.green + 0.0722 * colour.blue;
    EXPECT_GT(lightness, last) << i;
    last = lightness;
  }
}

TEST(TerminalColour, IsTheNearestOfTheCube) {
  EXPECT_EQ(terminal_colour({0, 0, 0}), 16U);
  EXPECT_EQ(terminal_colour({255, 255, 255}), 231U);
  EXPECT_EQ(terminal_colour({95, 135, 175}), 67U);
  EXPECT_EQ(terminal_colour({114, 115, 40}), 16U + 36 + 12);
}

}  // namespace
}  // namespace qemon::cli
