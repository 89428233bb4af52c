#include "cli/metric_tables.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "exporters/metrics_page.hpp"
#include "exporters/quantile.hpp"

namespace qemon::cli {
namespace {

using exporters::quantile;
using prometheus::ClientMetric;
using prometheus::MetricFamily;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Counts by bucket, the last of them beyond all bounds.
ClientMetric::Histogram histogram(const std::vector<double>& bounds,
                                  const std::vector<std::uint64_t>& counts, double sum) {
  ClientMetric::Histogram made;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    made.sample_count += counts[i];
    made.bucket.push_back({made.sample_count, i < bounds.size() ? bounds[i] : infinity});
  }
  made.sample_sum = sum;
  return made;
}

std::string tables(const std::vector<MetricFamily>& families,
                   const std::vector<std::shared_ptr<const exporters::Pack>>& packs,
                   double span_seconds) {
  trace::EventTable events;
  for (const char* const name : {"a", "b"}) events.add(name);
  exporters::Engine engine(events);
  engine.use(packs);
  std::ostringstream out;
  print_metric_tables(families, engine, span_seconds, out);
  return out.str();
}

TEST(HumanDuration, HasThreeDigits) {
  EXPECT_EQ(human_duration(0), "0 s");
  EXPECT_EQ(human_duration(1.5e-8), "15 ns");
  EXPECT_EQ(human_duration(1.2345e-6), "1.23 us");
  EXPECT_EQ(human_duration(9.9949e-4), "999 us");
  EXPECT_EQ(human_duration(9.9951e-4), "1 ms");
  EXPECT_EQ(human_duration(0.9999), "1 s");
  EXPECT_EQ(human_duration(12.345), "12.3 s");
  EXPECT_EQ(human_duration(12345.6), "12346 s");
  EXPECT_EQ(human_duration(-0.0025), "-2.5 ms");
}

TEST(HumanRate, HasAboutThreeDigits) {
  EXPECT_EQ(human_rate(0.254), "0.25");
  EXPECT_EQ(human_rate(31.25), "31.2");
  EXPECT_EQ(human_rate(100371.4), "100371");
}

TEST(Quantile, IsBetweenTheBoundsAsPrometheusHasIt) {
  const auto even = histogram({1, 2, 4}, {10, 10, 20, 0}, 0);

  EXPECT_DOUBLE_EQ(quantile(even, 0.25), 1);
  EXPECT_DOUBLE_EQ(quantile(even, 0.125), 0.5);
  EXPECT_DOUBLE_EQ(quantile(even, 0.5), 2);
  EXPECT_DOUBLE_EQ(quantile(even, 0.75), 3);
  EXPECT_DOUBLE_EQ(quantile(even, 1), 4);
}

TEST(Quantile, IsUnknownWithoutObservationsAndInfiniteBeyondTheLastBound) {
  EXPECT_TRUE(std::isnan(quantile(histogram({1}, {0, 0}, 0), 0.5)));
  EXPECT_EQ(quantile(histogram({1}, {1, 99}, 0), 0.5), infinity);
  EXPECT_EQ(quantile(histogram({-1, 1}, {9, 1, 0}, 0), 0.5), -1);
}

TEST(MetricTables, ShowHistogramsInTheirUnit) {
  auto family = exporters::histogram_family("x_seconds", "Time.");
  auto& read = family.metric.emplace_back();
  read.label = {{"vm", "v"}, {"operation", "read"}};
  read.histogram = histogram({0.001, 0.002}, {50, 49, 1}, 0.15);
  auto& none = family.metric.emplace_back();
  none.label = {{"vm", "v"}, {"operation", "write"}};
  none.histogram = histogram({0.001, 0.002}, {0, 0, 0}, 0);
  auto& slow = family.metric.emplace_back();
  slow.label = {{"vm", "v"}, {"operation", "flush"}};
  slow.histogram = histogram({0.001, 0.002}, {0, 0, 3}, 9);

  EXPECT_EQ(tables({family}, {}, 0),
            "\nx_seconds (histogram): Time.\n"
            "OPERATION  COUNT    MEAN     P50      P90     P99     MAX\n"
            "read         100  1.5 ms    1 ms  1.82 ms    2 ms  > 2 ms\n"
            "flush          3     3 s  > 2 ms   > 2 ms  > 2 ms  > 2 ms\n");
}

TEST(MetricTables, ShowCountersWithTheirRates) {
  auto family = exporters::counter_family("x_total", "Things.");
  exporters::add_sample(family, {{"vm", "v"}, {"line", "1"}}, 1000);
  exporters::add_sample(family, {{"vm", "v"}, {"line", "2\x1b"}}, 1);
  exporters::add_sample(family, {{"vm", "v"}, {"line", "3"}}, 0);

  EXPECT_EQ(tables({family}, {}, 4),
            "\nx_total (counter): Things.\n"
            "LINE   VALUE  PER SECOND\n"
            "1       1000       250.0\n"
            "2\\x1b      1        0.25\n");
  EXPECT_EQ(tables({family}, {}, 0),
            "\nx_total (counter): Things.\n"
            "LINE   VALUE\n"
            "1       1000\n"
            "2\\x1b      1\n");
}

TEST(MetricTables, LeaveOutWhatAccountsForNothing) {
  auto pairs = exporters::counter_family("qemond_pack_pairs_total", "Pairs.");
  exporters::add_sample(pairs, {{"vm", "v"}, {"outcome", "matched"}}, 0);
  auto in_flight = exporters::gauge_family("qemond_pack_pairs_in_flight", "Waiting.");
  exporters::add_sample(in_flight, {{"vm", "v"}}, 1);

  EXPECT_EQ(tables({pairs, in_flight}, {}, 0), "");
}

TEST(MetricTables, ShowHeatMapsAndTopValuesBusiestFirst) {
  exporters::Mistakes mistakes("test");
  const auto pack = exporters::parse_pack(R"(version: 1
pack: test
help: A test.
metrics:
  - heatmap: pages_total
    help: Pages.
    events: a
    address: "1"
  - topk: hot
    help: Hot.
    events: b
    value: "1"
)",
                                          mistakes);
  ASSERT_TRUE(pack) << mistakes.lines().front();
  const auto shared = std::make_shared<const exporters::Pack>(*pack);
  auto pages = exporters::counter_family("pages_total", "Pages.");
  exporters::add_sample(pages, {{"vm", "v"}, {"address", "0x1000"}}, 10);
  exporters::add_sample(pages, {{"vm", "v"}, {"address", "__other__"}}, 60);
  exporters::add_sample(pages, {{"vm", "v"}, {"address", "0x2000"}}, 30);
  auto hot = exporters::gauge_family("hot", "Hot.");
  exporters::add_sample(hot, {{"vm", "v"}, {"value", "0x5"}}, 9);
  exporters::add_sample(hot, {{"vm", "v"}, {"value", "0x7"}}, 8);
  auto errors = exporters::gauge_family("hot_error", "By how much.");
  exporters::add_sample(errors, {{"vm", "v"}, {"value", "0x5"}}, 0);
  exporters::add_sample(errors, {{"vm", "v"}, {"value", "0x7"}}, 3);

  EXPECT_EQ(tables({hot, errors, pages}, {shared}, 2),
            "\nhot (gauge): Hot.\n"
            "VALUE  COUNT  AT MOST TOO HIGH BY\n"
            "0x5        9                    0\n"
            "0x7        8                    3\n"
            "\npages_total (counter): Pages.\n"
            "ADDRESS    COUNT  SHARE\n"
            "0x2000        30  30.0%\n"
            "0x1000        10  10.0%\n"
            "__other__     60  60.0%\n");
}

TEST(MetricJson, HasCumulativeBuckets) {
  auto family = exporters::histogram_family("x_seconds", "Time.");
  auto& sample = family.metric.emplace_back();
  sample.label = {{"vm", "v"}};
  sample.histogram = histogram({0.5, 2}, {1, 2, 3}, 12.25);

  EXPECT_EQ(metric_json(family).dump(),
            R"({"name":"x_seconds","type":"histogram","help":"Time.","samples":[)"
            R"({"labels":{"vm":"v"},"count":6,"sum":12.25,"buckets":[)"
            R"({"le":0.5,"count":1},{"le":2,"count":3},{"le":"+Inf","count":6}]}]})");
}

TEST(MetricJson, HasWholeNumbersAsSuch) {
  auto family = exporters::counter_family("x_total", "Things.");
  exporters::add_sample(family, {{"vm", "v"}, {"line", "1"}}, 12345678901);

  EXPECT_EQ(metric_json(family).dump(),
            R"({"name":"x_total","type":"counter","help":"Things.","samples":[)"
            R"({"labels":{"vm":"v","line":"1"},"value":12345678901}]})");
}

}  // namespace
}  // namespace qemon::cli
