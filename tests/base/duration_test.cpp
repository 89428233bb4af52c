#include "base/duration.hpp"

#include <gtest/gtest.h>

namespace qemon {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsANumberAndAUnit) {
  EXPECT_EQ(parse_duration("1ms"), 1ms);
  EXPECT_EQ(parse_duration("0.6ms"), 1ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("1.5m"), 90s);
  EXPECT_EQ(parse_duration("24h"), 24h);
  EXPECT_EQ(parse_duration("2d"), 48h);
  EXPECT_EQ(parse_duration("0s"), 0s);
  EXPECT_EQ(parse_duration("99999999999999999999999999d"), 10'000 * 8766h);
}

TEST(Duration, IsNothingElse) {
  for (const auto* text : {"", "30", "s", "-1s", "-0s", "1 s", "1S", "1us", "1s ", " 1s", "1e3s",
                           "inf", "infs", "nans", "0x10s", "1sec", "1,5s"})
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

}  // namespace
}  // namespace qemon
