#include "daemon/lease_length.hpp"

#include <gtest/gtest.h>

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;

TEST(LeaseLength, IsANumberWithAUnitOrForever) {
  EXPECT_EQ(parse_lease_length("500ms"), LeaseLength(500ms));
  EXPECT_EQ(parse_lease_length("30s"), LeaseLength(30s));
  EXPECT_EQ(parse_lease_length("1.5m"), LeaseLength(90s));
  EXPECT_EQ(parse_lease_length("2h"), LeaseLength(2h));
  EXPECT_EQ(parse_lease_length("1d"), LeaseLength(24h));
  EXPECT_EQ(parse_lease_length("forever"), std::optional<LeaseLength>(LeaseLength()));
}

TEST(LeaseLength, IsNothingElse) {
  for (const char* text : {"", "30", "s", "-1s", "0s", "0.0001ms", "1w", "1 s", "nan s", "inf s",
                           "1e3s", "99999d", "ever", "forever ", "\xff"}) {
    EXPECT_FALSE(parse_lease_length(text)) << text;
  }
}

}  // namespace
}  // namespace qemon::daemon
