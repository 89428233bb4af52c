#include "exporters/trace_counters.hpp"

#include <gtest/gtest.h>

namespace qemon::exporters {
namespace {

trace::Record record_of(trace::EventIndex event) {
  trace::Record record;
  record.event = event;
  return record;
}

TEST(TraceCounters, StartsWithNothing) {
  const TraceCounters counters;

  EXPECT_TRUE(counters.counts().empty());
  EXPECT_EQ(counters.records(), 0U);
  EXPECT_EQ(counters.count(7), 0U);
  EXPECT_FALSE(counters.last_time_ns());
}

TEST(TraceCounters, CountsEachEventByItself) {
  TraceCounters counters;

  counters.on_record(record_of(3));
  counters.on_record(record_of(0));
  counters.on_record(record_of(3));

  EXPECT_EQ(counters.count(0), 1U);
  EXPECT_EQ(counters.count(1), 0U);
  EXPECT_EQ(counters.count(3), 2U);
  EXPECT_EQ(counters.counts().size(), 4U);
  EXPECT_EQ(counters.records(), 3U);
}

TEST(TraceCounters, KeepsTheLastTimeThatARecordHad) {
  TraceCounters counters;
  trace::Record timed = record_of(0);
  timed.has_time = true;
  timed.time_ns = 42;

  counters.on_record(timed);
  counters.on_record(record_of(0));

  EXPECT_EQ(counters.last_time_ns(), 42);
}

TEST(TraceCounters, CountsLossesAndWhatWasLost) {
  TraceCounters counters;

  counters.on_loss(5);
  counters.on_loss(0);

  EXPECT_EQ(counters.losses(), 2U);
  EXPECT_EQ(counters.lost_events(), 5U);
  EXPECT_EQ(counters.records(), 0U);
}

}  // namespace
}  // namespace qemon::exporters
