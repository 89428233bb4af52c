#include "daemon/trace_completeness.hpp"

#include <gtest/gtest.h>

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;
using Clock = TraceCompleteness::Clock;

const Clock::time_point start{1000s};

TEST(TraceCompleteness, IsUnknownUntilSomethingWasTracedForAWhile) {
  TraceCompleteness completeness;
  EXPECT_FALSE(completeness.ratio(start));

  completeness.tick(start, 7, false);

  EXPECT_FALSE(completeness.ratio(start));
}

TEST(TraceCompleteness, IsTheShareOfTimeWithoutLoss) {
  TraceCompleteness completeness;
  completeness.tick(start, 7, false);
  completeness.tick(start + 1s, 7, false);
  EXPECT_DOUBLE_EQ(completeness.ratio(start + 1s).value_or(-1), 1);

  completeness.tick(start + 2s, 8, false);
  completeness.tick(start + 3s, 9, false);
  completeness.tick(start + 4s, 9, false);

  EXPECT_DOUBLE_EQ(completeness.ratio(start + 4s).value_or(-1), 0.5);
}

TEST(TraceCompleteness, CountsTimeInWhichLossesAreNotCounted) {
  TraceCompleteness completeness;
  completeness.tick(start, 0, true);
  completeness.tick(start + 1s, 0, true);
  completeness.tick(start + 2s, 0, false);

  EXPECT_DOUBLE_EQ(completeness.ratio(start + 2s).value_or(-1), 0.5);
}

TEST(TraceCompleteness, ForgetsWhatIsOlderThanAMinute) {
  TraceCompleteness completeness;
  completeness.tick(start, 0, false);
  completeness.tick(start + 30s, 1, false);
  completeness.tick(start + 60s, 1, false);
  EXPECT_DOUBLE_EQ(completeness.ratio(start + 60s).value_or(-1), 0.5);

  completeness.tick(start + 75s, 1, false);
  EXPECT_DOUBLE_EQ(completeness.ratio(start + 75s).value_or(-1), 0.75);
  completeness.tick(start + 90s, 1, false);

  EXPECT_DOUBLE_EQ(completeness.ratio(start + 90s).value_or(-1), 1);
}

TEST(TraceCompleteness, IsUnknownAgainWhenNothingIsTraced) {
  TraceCompleteness completeness;
  completeness.tick(start, 0, false);
  completeness.tick(start + 1s, 1, false);

  completeness.stop();

  EXPECT_FALSE(completeness.ratio(start + 2s));
}

}  // namespace
}  // namespace qemon::daemon
