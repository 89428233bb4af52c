#include "trace/event_table.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string_view>

namespace qemon::trace {
namespace {

TEST(EventTable, GivesOutIndexesInOrder) {
  EventTable events;

  EXPECT_EQ(events.add("exec_tb"), 0u);
  EXPECT_EQ(events.add("virtio_notify"), 1u);
  EXPECT_EQ(events.add("exec_tb"), 0u);

  EXPECT_EQ(events.size(), 2u);
  EXPECT_EQ(events.name(1), "virtio_notify");
  EXPECT_EQ(events.find("exec_tb"), 0u);
  EXPECT_EQ(events.find("exec"), std::nullopt);
}

TEST(EventTable, KeepsNamesWhereTheyAreWhileItGrows) {
  EventTable events;
  const std::string& first = events.name(events.add("a"));

  for (int i = 0; i < 10'000; ++i) events.add("event_" + std::to_string(i));

  EXPECT_EQ(&events.name(0), &first);
  EXPECT_EQ(events.find("event_9999"), 10'000u);
}

TEST(EventTable, DescribesEventsAddedBeforeAndAfterTheCatalog) {
  const auto catalog = Catalog::parse("one(int a) \"%d\"\ntwo(void) \"\"\n");
  ASSERT_TRUE(catalog);
  EventTable events;
  events.add("one");
  events.add("three");

  events.use_catalog(&*catalog);
  events.add("two");

  ASSERT_NE(events.described(0), nullptr);
  EXPECT_EQ(events.described(0)->format, "%d");
  EXPECT_EQ(events.described(1), nullptr);
  EXPECT_EQ(events.described(2), catalog->find("two"));
}

TEST(EventTable, KnowsWhichEventsTheNextProcessHasToo) {
  EventNamesPool pool;
  EventTable table;
  table.begin_process(pool.share(std::array<std::string_view, 2>{"both", "old"}));
  const auto from_trace = table.add("from_trace");

  table.begin_process(pool.share(std::array<std::string_view, 2>{"new", "both"}));

  EXPECT_EQ(table.find("both"), 0u);
  EXPECT_EQ(table.find("old"), 1u);
  EXPECT_EQ(table.find("from_trace"), from_trace);
  EXPECT_EQ(table.find("new"), 3u);
  EXPECT_TRUE(table.is_present(0));
  EXPECT_FALSE(table.is_present(1));
  EXPECT_FALSE(table.is_present(from_trace));
  EXPECT_TRUE(table.is_present(3));
}

TEST(EventTable, KnowsTheSameProcessListAgain) {
  EventNamesPool pool;
  const std::array<std::string_view, 2> names{"a", "b"};
  EventTable table;
  table.begin_process(pool.share(names));
  const auto more = table.add("more");

  table.begin_process(pool.share(names));

  EXPECT_EQ(table.size(), 3u);
  EXPECT_TRUE(table.is_present(1));
  EXPECT_FALSE(table.is_present(more));
}

TEST(EventTable, SharesTheNamesOfVmsThatRunTheSameQemu) {
  EventNamesPool pool;
  const std::array<std::string_view, 2> names{"a", "b"};
  EventTable one;
  EventTable other;
  one.begin_process(pool.share(names));
  other.begin_process(pool.share(names));

  EXPECT_EQ(&one.name(1), &other.name(1));
  EXPECT_EQ(one.add("c"), 2u);
  EXPECT_EQ(other.find("c"), std::nullopt);
}

TEST(EventNamesPool, KeepsNothingThatNobodyUses) {
  EventNamesPool pool;
  std::weak_ptr<const EventNames> first = pool.share(std::array<std::string_view, 1>{"a"});

  EXPECT_TRUE(first.expired());
  EXPECT_EQ(pool.share(std::array<std::string_view, 1>{"a"})->size(), 1u);
}

TEST(EventTable, ForgetsDescriptionsWithTheirCatalog) {
  const auto catalog = Catalog::parse("one(int a) \"%d\"\n");
  ASSERT_TRUE(catalog);
  EventTable events;
  events.add("one");
  events.use_catalog(&*catalog);
  const auto generation = events.catalog_generation();

  events.use_catalog(nullptr);

  EXPECT_EQ(events.described(0), nullptr);
  EXPECT_NE(events.catalog_generation(), generation);
}

}  // namespace
}  // namespace qemon::trace
