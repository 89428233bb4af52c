#include "trace/event_table.hpp"

#include <gtest/gtest.h>

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
  EventTable table;
  const auto both = table.add("both");
  const auto old = table.add("old");

  table.forget_process();
  EXPECT_EQ(table.add("both"), both);

  EXPECT_TRUE(table.is_present(both));
  EXPECT_FALSE(table.is_present(old));
  EXPECT_EQ(table.find("old"), old);
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
