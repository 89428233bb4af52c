#include "daemon/event_cost.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace qemon::daemon {
namespace {

/// Windows of a fifth of a second; `cpu`: that QEMU used, in seconds.
CostWindow window(bool on, std::uint64_t records, double cpu) {
  CostWindow window;
  window.on = on;
  window.seconds = 0.2;
  window.records = records;
  window.bytes = records * 40 + 20;
  window.cpu_seconds = cpu;
  return window;
}

TEST(EventCost, IsWhatTheWindowsWithTheEventHaveMore) {
  const std::vector<CostWindow> windows{window(true, 100, 0.041), window(false, 0, 0.020),
                                        window(false, 0, 0.021),  window(true, 110, 0.042),
                                        window(true, 90, 0.040),  window(false, 0, 0.019)};
  EventCost cost;

  compare_windows(windows, cost);

  EXPECT_DOUBLE_EQ(cost.records_per_second.value(), 500);
  EXPECT_DOUBLE_EQ(cost.bytes_per_second.value_or(0), 20'000);
  EXPECT_NEAR(cost.cpu_cores.value_or(0), 0.105, 0.0001);
  EXPECT_NEAR(cost.cpu_seconds_per_record.value_or(0), 0.105 / 500, 1e-6);
}

TEST(EventCost, IsAbsentBelowTheNoise) {
  for (const double more : {0.0, 0.001, -0.01}) {
    const std::vector<CostWindow> windows{
        window(true, 1, 0.045 + more), window(false, 0, 0.020),       window(false, 0, 0.046),
        window(true, 1, 0.021 + more), window(true, 1, 0.030 + more), window(false, 0, 0.031)};
    EventCost cost;

    compare_windows(windows, cost);

    EXPECT_EQ(cost.cpu_cores, std::nullopt) << more;
    EXPECT_EQ(cost.cpu_seconds_per_record, std::nullopt) << more;
  }
}

TEST(EventCost, ForEachRecordIsOfThoseThatWereDroppedToo) {
  std::vector<CostWindow> windows{window(true, 50, 0.041), window(false, 0, 0.020),
                                  window(false, 0, 0.021), window(true, 40, 0.042),
                                  window(true, 9, 0.040),  window(false, 0, 0.019)};
  EventCost few;
  compare_windows(windows, few);
  EXPECT_TRUE(few.cpu_cores);
  EXPECT_EQ(few.cpu_seconds_per_record, std::nullopt);

  windows[0].dropped = 201;
  EventCost cost;
  compare_windows(windows, cost);
  EXPECT_NEAR(cost.cpu_seconds_per_record.value_or(0), 0.105 / 500, 1e-6);
}

TEST(EventCost, OfAnEventThatIsOnAnywayIsItsRateOnly) {
  const std::vector<CostWindow> windows{window(false, 10, 0.02), window(false, 20, 0.03)};
  EventCost cost;

  compare_windows(windows, cost);

  EXPECT_DOUBLE_EQ(cost.records_per_second.value(), 75);
  EXPECT_EQ(cost.bytes_per_second, std::nullopt);
  EXPECT_EQ(cost.cpu_cores, std::nullopt);
}

TEST(EventCost, ReadsTheProcessorTimeOfAProcess) {
  EXPECT_GT(process_cpu_seconds(::getpid()).value_or(0), 0);
  // More than there can be.
  EXPECT_EQ(process_cpu_seconds(1 << 23), std::nullopt);
}

}  // namespace
}  // namespace qemon::daemon
