#include "exporters/top_values.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace qemon::exporters {
namespace {

std::string text_of(const std::vector<TopValues::Entry>& entries) {
  std::string text;
  for (const auto& each : entries) {
    text += std::to_string(each.value) + ":" + std::to_string(each.count);
    if (each.error > 0) text += "-" + std::to_string(each.error);
    text += " ";
  }
  return text;
}

TEST(TopValues, HasNothingAtFirst) {
  EXPECT_TRUE(TopValues(10).top(5).empty());
}

TEST(TopValues, CountsExactlyWhileThereIsRoom) {
  TopValues top(4);

  for (const std::uint64_t value : {3, 1, 2, 3, 2, 3, 4}) top.hit(value);

  EXPECT_EQ(text_of(top.top(10)), "3:3 2:2 1:1 4:1 ");
  EXPECT_EQ(text_of(top.top(2)), "3:3 2:2 ");
  EXPECT_EQ(text_of(top.top(0)), "");
}

TEST(TopValues, ANewValueTakesThePlaceOfTheRarestAndInheritsItsCount) {
  TopValues top(2);

  for (const std::uint64_t value : {1, 1, 1, 2, 2, 3}) top.hit(value);

  EXPECT_EQ(text_of(top.top(10)), "1:3 3:3-2 ");
}

TEST(TopValues, TakesSeveralAtOnce) {
  TopValues top(3);

  top.hit(1, 5);
  top.hit(2, 3);
  top.hit(3, 9);
  top.hit(2, 4);
  top.hit(4, 10);

  EXPECT_EQ(text_of(top.top(10)), "4:15-5 3:9 2:7 ");
}

TEST(TopValues, ACapacityOfOneFollowsTheStream) {
  TopValues top(1);

  for (const std::uint64_t value : {5, 6, 7, 7}) top.hit(value);

  EXPECT_EQ(text_of(top.top(10)), "7:4-2 ");
}

TEST(TopValues, HoldsEveryValue) {
  TopValues top(3);

  for (const std::uint64_t value : {std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}})
    top.hit(value);

  EXPECT_EQ(text_of(top.top(3)), "18446744073709551615:2 0:1 ");
}

// The promises of Space-Saving, against an exact count of skewed streams.
TEST(TopValues, ErrsByNoMoreThanItSays) {
  for (unsigned seed = 0; seed < 12; ++seed) {
    std::mt19937_64 random(seed);
    const std::size_t capacity = random() % 300 + 1;
    TopValues top(capacity);
    std::map<std::uint64_t, std::uint64_t> exact;
    std::uint64_t hits = 0;
    for (int i = 0; i < 40'000; ++i) {
      const double uniform = static_cast<double>(random() % 1'000'000 + 1) / 1e6;
      // Few are frequent; a shift makes many values fall into one place of a hash table.
      const auto value = static_cast<std::uint64_t>(1.0 / std::sqrt(uniform) * 3) << (seed * 4);
      top.hit(value);
      ++exact[value];
      ++hits;
    }

    const auto found = top.top(capacity);

    ASSERT_EQ(found.size(), std::min(capacity, exact.size()));
    std::uint64_t sum = 0;
    for (const auto& each : found) {
      ASSERT_LE(each.count - each.error, exact[each.value]);
      ASSERT_GE(each.count, exact[each.value]);
      sum += each.count;
    }
    ASSERT_EQ(sum, hits);
    const auto rarest = found.back().count;
    for (const auto& [value, count] : exact) {
      const bool shown = std::any_of(found.begin(), found.end(),
                                     [value = value](const auto& e) { return e.value == value; });
      if (!shown) {
        ASSERT_LE(count, rarest) << value;
      }
    }
  }
}

// Every hit evicts: what is taken out of the hash table must not hide what is behind it.
TEST(TopValues, FindsItsValuesAgainAfterManyEvictions) {
  TopValues top(64);
  std::mt19937_64 random(1);
  for (std::uint64_t i = 0; i < 200'000; ++i) top.hit(i % 2 == 0 ? random() : i % 32);

  const auto found = top.top(64);

  std::map<std::uint64_t, int> times;
  for (const auto& each : found) ++times[each.value];
  EXPECT_EQ(times.size(), 64U);
  for (std::uint64_t value = 1; value < 32; value += 2) EXPECT_EQ(times[value], 1) << value;
}

}  // namespace
}  // namespace qemon::exporters
