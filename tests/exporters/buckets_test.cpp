#include "exporters/buckets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "exporters/yaml_document.hpp"

namespace qemon::exporters {
namespace {

/// The bounds, or the mistakes.
std::string parse(std::string_view yaml, Unit unit = Unit::none) {
  Mistakes mistakes("x");
  const auto node = parse_yaml(yaml, mistakes);
  if (!node) return "no YAML";
  const auto buckets = parse_buckets(*node, unit, mistakes);
  std::string text;
  for (const auto bound : buckets.bounds) text += std::to_string(bound) + " ";
  for (const auto& line : mistakes.lines()) text += line + "\n";
  return text;
}

TEST(Buckets, OfLatenciesGoFromTenMicrosecondsToFiveSeconds) {
  EXPECT_EQ(default_latency_buckets().bounds,
            (std::vector<std::int64_t>{10'000, 20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000,
                                       2'000'000, 5'000'000, 10'000'000, 20'000'000, 50'000'000,
                                       100'000'000, 200'000'000, 500'000'000, 1'000'000'000,
                                       2'000'000'000, 5'000'000'000}));
}

TEST(Buckets, FindTheFirstBoundThatIsNotLess) {
  const BucketFinder buckets(Buckets{{10, 20}});

  EXPECT_EQ(buckets.find(std::numeric_limits<std::int64_t>::min()), 0U);
  EXPECT_EQ(buckets.find(10), 0U);
  EXPECT_EQ(buckets.find(11), 1U);
  EXPECT_EQ(buckets.find(20), 1U);
  EXPECT_EQ(buckets.find(21), 2U);
  EXPECT_EQ(buckets.find(std::numeric_limits<std::int64_t>::max()), 2U);
}

TEST(Buckets, AreFoundWhateverTheirBounds) {
  const std::vector<std::vector<std::int64_t>> all{
      {},
      {0},
      {-100, -7, 0, 1},
      {1, 2, 3, 4, 5, 6, 7, 8, 9},
      {512, 1024, 2048},
      {511, 513, 1025},
      {std::numeric_limits<std::int64_t>::max() - 1, std::numeric_limits<std::int64_t>::max()},
      default_latency_buckets().bounds};
  for (const auto& bounds : all) {
    const BucketFinder buckets(Buckets{bounds});
    std::vector<std::int64_t> values{std::numeric_limits<std::int64_t>::min(),
                                     std::numeric_limits<std::int64_t>::max(), -1, 0, 1};
    for (unsigned shift = 0; shift < 63; ++shift)
      for (const std::int64_t near : {-1, 0, 1})
        values.push_back((std::int64_t{1} << shift) + near);
    for (const auto bound : bounds) {
      values.push_back(bound);
      values.push_back(bound - 1);
      if (bound != std::numeric_limits<std::int64_t>::max()) values.push_back(bound + 1);
    }
    for (const auto value : values) {
      const auto expected = std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
      EXPECT_EQ(buckets.find(value), static_cast<std::size_t>(expected)) << value;
    }
  }
}

TEST(Buckets, MayBeListed) {
  EXPECT_EQ(parse("[1, 10, 100]"), "1 10 100 ");
  EXPECT_EQ(parse("[-5, 0, 5.0]"), "-5 0 5 ");
  EXPECT_EQ(parse("[7]"), "7 ");
}

TEST(Buckets, MayDouble) {
  EXPECT_EQ(parse("{exp2: {from: 512, to: 4096}}"), "512 1024 2048 4096 ");
  EXPECT_EQ(parse("{exp2: {from: 3, to: 20}}"), "3 6 12 ");
  EXPECT_EQ(parse("{exp2: {from: 5, to: 5}}"), "5 ");
  EXPECT_EQ(parse("{exp2: {from: 0.001, to: 0.004}}", Unit::milliseconds), "1 2 4 ");
  EXPECT_EQ(parse("{exp2: {from: 4611686018427387904, to: 9223372036854775806}}"),
            "4611686018427387904 ");
}

TEST(Buckets, MayStep) {
  EXPECT_EQ(parse("{linear: {from: 0, step: 10, count: 5}}"), "0 10 20 30 40 ");
  EXPECT_EQ(parse("{linear: {from: -1, step: 1, count: 3}}"), "-1 0 1 ");
  EXPECT_EQ(parse("{linear: {from: 0.5, step: 0.25, count: 2}}", Unit::microseconds),
            "500000 750000 ");
  EXPECT_EQ(parse("{linear: {from: 0, step: 9223372036854775806, count: 2}}"),
            "0 9223372036854775806 ");
}

TEST(Buckets, OfSecondsAreExactToTheNanosecond) {
  EXPECT_EQ(parse("[0.000000001, 0.00001, 0.1, 0.3, 1, 2.000000001]", Unit::nanoseconds),
            "1 10000 100000000 300000000 1000000000 2000000001 ");
  EXPECT_EQ(parse("[-0.5, 0.10000000000000]", Unit::nanoseconds), "-500000000 100000000 ");
  EXPECT_EQ(parse("[9223372035.999999999]", Unit::nanoseconds), "9223372035999999999 ");
}

TEST(Buckets, CannotBeFinerThanTheirUnit) {
  EXPECT_EQ(
      parse("[0.0000000001]", Unit::nanoseconds),
      "x:1: buckets: \"0.0000000001\" is no bound: give a decimal number of seconds, no finer "
      "than the unit\n");
  EXPECT_EQ(parse("[0.0001]", Unit::milliseconds),
            "x:1: buckets: \"0.0001\" is no bound: give a decimal number of seconds, no finer than "
            "the unit\n");
  EXPECT_EQ(parse("[1.5]"),
            "x:1: buckets: \"1.5\" is no bound: give a decimal number without a fraction\n");
}

TEST(Buckets, MustBeNumbers) {
  for (const std::string_view bad : {"many", "1e3", "0x10", "+1", "--1", ".5", "\"\"", "1.2.3",
                                     "9223372036854775808", "-", "99999999999999999999"}) {
    std::string shown(bad == "\"\"" ? "" : bad);
    EXPECT_EQ(
        parse("[" + std::string(bad) + "]"),
        "x:1: buckets: \"" + shown + "\" is no bound: give a decimal number without a fraction\n");
  }
  EXPECT_EQ(parse("[[1]]"),
            "x:1: buckets: \"\" is no bound: give a decimal number without a fraction\n");
}

TEST(Buckets, MustAscend) {
  EXPECT_EQ(parse("[1, 1]"), "x:1: buckets: bounds must ascend\n");
  EXPECT_EQ(parse("[1, 3, 2]"), "x:1: buckets: bounds must ascend\n");
}

TEST(Buckets, AreOneToAHundred) {
  std::string list = "[0";
  for (int i = 1; i < 100; ++i) list += ", " + std::to_string(i);

  EXPECT_EQ(parse("[]"), "x:1: buckets: there must be at least one bound\n");
  EXPECT_EQ(parse(list + "]").substr(0, 4), "0 1 ");
  EXPECT_EQ(parse(list + ", 100]"),
            "x:1: buckets: at most 100 bounds, since each is a series of its own\n");
  EXPECT_EQ(parse("{linear: {from: 0, step: 1, count: 101}}"),
            "x:1: buckets: step must be above 0, and count from 1 to 100\n");
}

TEST(Buckets, SayWhatIsWrongWithAForm) {
  EXPECT_EQ(parse("10"),
            "x:1: buckets: write a list of bounds, {exp2: {from: 512, to: 1048576}} or {linear: "
            "{from: 0, step: 10, count: 5}}\n");
  EXPECT_EQ(parse("{exp3: {from: 1}}"),
            "x:1: buckets: write a list of bounds, {exp2: {from: 512, to: 1048576}} or {linear: "
            "{from: 0, step: 10, count: 5}}\n");
  EXPECT_EQ(parse("{exp2: {from: 1}}"), "x:1: buckets: to is missing\n");
  EXPECT_EQ(parse("{exp2: {from: 0, to: 5}}"),
            "x:1: buckets: from must be above 0, and to not below it\n");
  EXPECT_EQ(parse("{exp2: {from: 8, to: 5}}"),
            "x:1: buckets: from must be above 0, and to not below it\n");
  EXPECT_EQ(parse("{exp2: {from: 1, to: 8, by: 3}}"),
            "x:1: by: there is no such key here: the keys are from, to\n");
  EXPECT_EQ(parse("{linear: {from: 1, step: 0, count: 5}}"),
            "x:1: buckets: step must be above 0, and count from 1 to 100\n");
  EXPECT_EQ(parse("{linear: {from: 1, step: 1}}"),
            "x:1: buckets: step must be above 0, and count from 1 to 100\n");
  EXPECT_EQ(parse("{linear: {from: 9000000000000000000, step: 9000000000000000000, count: 3}}"),
            "x:1: buckets: the bounds are too large\n");
  EXPECT_EQ(parse("{exp2: {from: 1, to: 2}, linear: {}}"),
            "x:1: linear: there is no such key here: the keys are exp2\n");
}

}  // namespace
}  // namespace qemon::exporters
