#include "exporters/metrics_text.hpp"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>

#include "exporters/metrics_page.hpp"

namespace qemon::exporters {
namespace {

std::string number(double value) {
  std::string text;
  append_number(value, text);
  return text;
}

TEST(MetricsText, WritesNumbersAsPeopleReadThem) {
  EXPECT_EQ(number(0), "0");
  EXPECT_EQ(number(-3), "-3");
  EXPECT_EQ(number(100000), "100000");
  EXPECT_EQ(number(9007199254740992), "9007199254740992");
  EXPECT_EQ(number(0.0001), "0.0001");
  EXPECT_EQ(number(1e-05), "1e-05");
  EXPECT_EQ(number(1234567.5), "1234567.5");
  EXPECT_EQ(number(1e300), "1e+300");
  EXPECT_EQ(number(std::nan("")), "NaN");
  EXPECT_EQ(number(std::numeric_limits<double>::infinity()), "+Inf");
  EXPECT_EQ(number(-std::numeric_limits<double>::infinity()), "-Inf");
}

TEST(MetricsText, LosesNothingOfANumber) {
  std::mt19937_64 random(1);  // NOLINT(cert-msc*): the same numbers each time.
  for (int i = 0; i < 20'000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(std::strtod(number(value).c_str(), nullptr), value);
  }
}

// The witness is prometheus-cpp's own serializer.
TEST(MetricsText, SaysWhatPrometheusCppSays) {
  auto counter = counter_family("a_total", "A.");
  add_sample(counter, {{"vm", "a\"b\\c\nd"}, {"event", "x"}}, 5);
  add_sample(counter, {}, 0.25);
  auto histogram = histogram_family("h_seconds", "H.");
  auto& metric = histogram.metric.emplace_back();
  metric.label.push_back({"vm", "web1"});
  metric.histogram.sample_count = 7;
  metric.histogram.sample_sum = 1.5;
  metric.histogram.bucket = {{2, 0.001}, {5, 0.5}};

  for (const auto& family : {counter, histogram})
    EXPECT_EQ(serialize(family), prometheus::TextSerializer().Serialize({family}));
}

TEST(FamilyTextMaker, PutsTheVmInFrontAndSharesHeaders) {
  FamilyTextMaker maker;
  auto family = gauge_family("a", "A.");
  add_sample(family, {{"device", "vd0"}}, 1);
  add_sample(family, {}, 2);

  const auto one = maker.make({family, gauge_family("empty", "E.")}, "web\"1");
  const auto other = maker.make({family}, "web2");

  ASSERT_EQ(one->size(), 1U);
  EXPECT_EQ(one->front().samples, "a{vm=\"web\\\"1\",device=\"vd0\"} 1\na{vm=\"web\\\"1\"} 2\n");
  EXPECT_EQ(one->front().header, other->front().header);
  EXPECT_EQ(one->front().header->text, "# HELP a A.\n# TYPE a gauge\n");
}

TEST(FamilyTextMaker, DoesNotMixFamiliesOfOneNameAndAnotherMeaning) {
  FamilyTextMaker maker;
  auto gauge = gauge_family("a", "A.");
  auto counter = counter_family("a", "A.");
  add_sample(gauge, {}, 1);
  add_sample(counter, {}, 1);

  const auto one = maker.make({gauge}, "web1");
  const auto other = maker.make({counter}, "web2");

  EXPECT_EQ(one->front().header->type, prometheus::MetricType::Gauge);
  EXPECT_EQ(other->front().header->type, prometheus::MetricType::Counter);
}

}  // namespace
}  // namespace qemon::exporters
