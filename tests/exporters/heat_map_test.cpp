#include "exporters/heat_map.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace qemon::exporters {
namespace {

std::uint64_t count_of(const HeatMap& heat, std::uint64_t address) {
  for (const auto& each : heat.series())
    if (each.address == address) return each.count;
  return 0;
}

std::uint64_t sum_of(const HeatMap& heat) {
  std::uint64_t sum = heat.other();
  for (const auto& each : heat.series()) sum += each.count;
  return sum;
}

TEST(HeatMap, CountsUnderOtherUntilItIsRefreshed) {
  HeatMap heat(12, 10, 100);

  heat.hit(0x1000);
  EXPECT_EQ(heat.other(), 1U);
  EXPECT_TRUE(heat.series().empty());
  heat.refresh();

  EXPECT_EQ(heat.other(), 0U);
  EXPECT_EQ(count_of(heat, 0x1000), 1U);
}

TEST(HeatMap, CountsAddressesByTheirRange) {
  HeatMap heat(12, 10, 100);

  for (const std::uint64_t address : {0x0, 0xfff, 0x1000, 0x1fff, 0x2000}) heat.hit(address);
  heat.hit(~std::uint64_t{0});
  heat.refresh();

  EXPECT_EQ(heat.series().size(), 4U);
  EXPECT_EQ(count_of(heat, 0), 2U);
  EXPECT_EQ(count_of(heat, 0x1000), 2U);
  EXPECT_EQ(count_of(heat, 0x2000), 1U);
  EXPECT_EQ(count_of(heat, 0xfffffffffffff000), 1U);
}

TEST(HeatMap, ARangeOfOneByteIsAnAddress) {
  HeatMap heat(0, 10, 100);

  heat.hit(0);
  heat.hit(1);
  heat.refresh();

  EXPECT_EQ(heat.series().size(), 2U);
}

TEST(HeatMap, GivesTheBusiestASeriesAndThenTheLowest) {
  HeatMap heat(0, 2, 100);

  for (const std::uint64_t address : {9, 5, 7, 7, 3}) heat.hit(address);
  heat.refresh();

  ASSERT_EQ(heat.series().size(), 2U);
  EXPECT_EQ(heat.series()[0].address, 7U);
  EXPECT_EQ(heat.series()[1].address, 3U);
  EXPECT_EQ(heat.other(), 2U);
}

TEST(HeatMap, RanksByWhatHappenedSinceTheLastRefresh) {
  HeatMap heat(0, 1, 100);

  for (int i = 0; i < 10; ++i) heat.hit(1);
  for (int i = 0; i < 9; ++i) heat.hit(2);
  heat.refresh();
  for (int i = 0; i < 3; ++i) heat.hit(3);
  heat.hit(2);
  heat.refresh();

  EXPECT_EQ(count_of(heat, 1), 10U);
  EXPECT_EQ(count_of(heat, 2), 0U);
  EXPECT_EQ(count_of(heat, 3), 3U);
  EXPECT_EQ(heat.other(), 10U);
}

TEST(HeatMap, ASeriesCountsOnWhileItIsNotAmongTheBusiest) {
  HeatMap heat(0, 1, 100);

  heat.hit(1);
  heat.refresh();
  for (int i = 0; i < 3; ++i) heat.hit(2);
  heat.hit(1);
  heat.refresh();

  EXPECT_EQ(count_of(heat, 1), 2U);
  EXPECT_EQ(count_of(heat, 2), 3U);
}

TEST(HeatMap, HasNoMoreSeriesThanItsLimit) {
  HeatMap heat(0, 50, 3);

  for (std::uint64_t address = 0; address < 10; ++address) heat.hit(address);
  heat.refresh();
  for (std::uint64_t address = 0; address < 10; ++address) heat.hit(address);
  heat.refresh();

  EXPECT_EQ(heat.series().size(), 3U);
  EXPECT_EQ(heat.other(), 14U);
}

// The table of ranges grows between hits of one range, which is remembered from the last one.
TEST(HeatMap, KnowsTheLastRangeWhileItsTablesGrow) {
  HeatMap heat(0, 5000, 5000);

  for (std::uint64_t address = 0; address < 5000; ++address) {
    for (int i = 0; i < 3; ++i) heat.hit(address);
    heat.hit(0);
    heat.hit(address);
  }
  heat.refresh();

  EXPECT_EQ(count_of(heat, 0), 5004U);
  for (std::uint64_t address = 1; address < 5000; ++address)
    ASSERT_EQ(count_of(heat, address), 4U) << address;
  EXPECT_EQ(heat.other(), 0U);
}

TEST(HeatMap, RangeZeroIsNotTakenForNoRange) {
  HeatMap heat(12, 5, 5);

  heat.hit(0);
  heat.refresh();

  EXPECT_EQ(count_of(heat, 0), 1U);
}

TEST(HeatMap, RemembersAtMost65536Ranges) {
  HeatMap heat(0, 10, 10);

  for (std::uint64_t address = 0; address < 65'536; ++address) heat.hit(address << 20U);
  EXPECT_EQ(heat.overflow(), 0U);
  for (int i = 0; i < 5; ++i) heat.hit(7);
  heat.hit(0);
  heat.hit(7);
  heat.refresh();

  EXPECT_EQ(heat.overflow(), 6U);
  EXPECT_EQ(sum_of(heat), 65'536U + 7);
  EXPECT_EQ(count_of(heat, 7), 0U);
  EXPECT_EQ(count_of(heat, 0), 2U);
}

// Whatever happens, each hit is in exactly one series, and nothing that was shown goes back.
TEST(HeatMap, CountsEachHitOnceAndNeverGoesBack) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    HeatMap heat(4, random() % 20 + 1, random() % 60 + 1);
    std::map<std::uint64_t, std::uint64_t> exact, shown;
    std::uint64_t hits = 0, shown_other = 0;
    for (int round = 0; round < 50; ++round) {
      const auto center = random() % 3000;
      for (auto count = random() % 200; count > 0; --count) {
        const auto address = center + (random() % 40) * (random() % 40);
        heat.hit(address);
        ++exact[address / 16 * 16];
        ++hits;
      }

      heat.refresh();

      ASSERT_EQ(sum_of(heat), hits);
      ASSERT_GE(heat.other(), shown_other);
      shown_other = heat.other();
      std::size_t known = 0;
      for (const auto& each : heat.series()) {
        ASSERT_LE(each.count, exact[each.address]);
        known += shown.contains(each.address) ? 1 : 0;
        ASSERT_GE(each.count, shown[each.address]);
        shown[each.address] = each.count;
      }
      ASSERT_EQ(shown.size(), heat.series().size());
      ASSERT_LE(known, heat.series().size());
    }
  }
}

}  // namespace
}  // namespace qemon::exporters
