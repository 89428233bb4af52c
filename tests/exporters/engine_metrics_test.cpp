#include "exporters/engine_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <sstream>

#include "tests/exporters/pack_run.hpp"
#include "tests/exporters/promtool.hpp"

namespace qemon::exporters {
namespace {

using test::PackRun;
using test::page_of;
using testing::HasSubstr;
using testing::Not;

/// The names in the page's TYPE lines, in order.
std::vector<std::string> families_of(const std::string& page) {
  std::vector<std::string> names;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("# TYPE ")) names.push_back(line.substr(7, line.rfind(' ') - 7));
  return names;
}

/// The page's samples without their values.
std::vector<std::string> series_of(const std::string& page) {
  std::vector<std::string> series;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with('#')) series.push_back(line.substr(0, line.rfind(' ')));
  return series;
}

constexpr std::string_view every_kind =
    "  - {counter: qemu_z_total, help: A counter., events: line, labels: {irq: {argument: irq}}}\n"
    "  - {gauge: qemu_g, help: A gauge., events: line, value: level}\n"
    "  - {histogram: qemu_jumps, help: A histogram., events: line, observe: level, buckets: "
    "[1, 10]}\n"
    "  - {latency: qemu_latency_seconds, help: A latency., begin: disk_read, end: disk_done, key: "
    "dev, "
    "buckets: [0.000001, 1]}\n"
    "  - {heatmap: qemu_places_total, help: A heat map., events: region, address: addr}\n"
    "  - {topk: qemu_t, help: A top., events: region, value: addr}\n";

constexpr std::string_view some_lines =
    "line irq 1 level 5\nline irq 2 level 50\n"
    "9@1.000000:disk_read dev 0x1 sector 0 n 1\n"
    "9@1.000001:disk_done dev 0x1 status 0\n"
    "region name 'x' addr 0x1008 size 4\n";

TEST(EngineMetrics, ShowEveryKindAsPrometheusReadsIt) {
  PackRun run;
  run.use(every_kind);
  run.feed(some_lines);

  const auto page = run.page();

  EXPECT_THAT(page,
              HasSubstr("# HELP qemu_g A gauge.\n# TYPE qemu_g gauge\nqemu_g{vm=\"web1\"} 50\n"
                        "# HELP qemu_jumps A histogram.\n"
                        "# TYPE qemu_jumps histogram\n"
                        "qemu_jumps_count{vm=\"web1\"} 2\n"
                        "qemu_jumps_sum{vm=\"web1\"} 55\n"
                        "qemu_jumps_bucket{vm=\"web1\",le=\"1\"} 0\n"
                        "qemu_jumps_bucket{vm=\"web1\",le=\"10\"} 1\n"
                        "qemu_jumps_bucket{vm=\"web1\",le=\"+Inf\"} 2\n"
                        "# HELP qemu_latency_seconds A latency.\n"
                        "# TYPE qemu_latency_seconds histogram\n"
                        "qemu_latency_seconds_count{vm=\"web1\"} 1\n"
                        "qemu_latency_seconds_sum{vm=\"web1\"} 1e-06\n"
                        "qemu_latency_seconds_bucket{vm=\"web1\",le=\"1e-06\"} 1\n"
                        "qemu_latency_seconds_bucket{vm=\"web1\",le=\"1\"} 1\n"
                        "qemu_latency_seconds_bucket{vm=\"web1\",le=\"+Inf\"} 1\n"
                        "# HELP qemu_places_total A heat map.\n"
                        "# TYPE qemu_places_total counter\n"
                        "qemu_places_total{vm=\"web1\",address=\"0x1000\"} 1\n"
                        "qemu_places_total{vm=\"web1\",address=\"__other__\"} 0\n"
                        "# HELP qemu_t A top.\n"
                        "# TYPE qemu_t gauge\n"
                        "qemu_t{vm=\"web1\",value=\"0x1008\"} 1\n"
                        "# HELP qemu_t_error By how much qemu_t may be too high.\n"
                        "# TYPE qemu_t_error gauge\n"
                        "qemu_t_error{vm=\"web1\",value=\"0x1008\"} 0\n"
                        "# HELP qemu_z_total A counter.\n"
                        "# TYPE qemu_z_total counter\n"
                        "qemu_z_total{vm=\"web1\",irq=\"1\"} 1\n"
                        "qemu_z_total{vm=\"web1\",irq=\"2\"} 1\n"));
}

TEST(EngineMetrics, AreSortedByName) {
  PackRun run;
  run.use(
      "  - {topk: a, help: A., events: region, value: addr}\n"
      "  - {counter: a_bytes_total, help: A., events: region}\n"
      "  - {gauge: b, help: B., events: region, value: 1}\n");
  run.feed("region name 'x' addr 0x1008 size 4\n");

  const auto names = families_of(run.page());

  EXPECT_EQ(std::vector(names.begin(), names.begin() + 4),
            (std::vector<std::string>{"a", "a_bytes_total", "a_error", "b"}));
}

TEST(EngineMetrics, HaveNoFamilyTwiceAndNoSeriesTwice) {
  PackRun one, two;
  one.use(every_kind);
  two.use(every_kind);
  one.feed(some_lines);
  two.feed(some_lines);

  const auto page = page_of([&] {
    return std::vector<EngineOfVm>{{"a", &one.engine, true}, {"b", &two.engine, true}};
  });

  const auto names = families_of(page), series = series_of(page);
  EXPECT_EQ(std::set(names.begin(), names.end()).size(), names.size()) << page;
  EXPECT_EQ(std::set(series.begin(), series.end()).size(), series.size()) << page;
}

TEST(EngineMetrics, OfTwoVmsAreInOneFamily) {
  PackRun one, two, three;
  one.use("  - {counter: a_total, help: A., events: line}\n");
  two.use("  - {counter: a_total, help: A., events: line}\n");
  two.feed("line irq 1 level 1\n");

  const auto page = page_of([&] {
    return std::vector<EngineOfVm>{
        {"web1", &one.engine, true}, {"web2", &two.engine, true}, {"web3", &three.engine, true}};
  });

  EXPECT_EQ(page,
            "# HELP a_total A.\n"
            "# TYPE a_total counter\n"
            "a_total{vm=\"web1\"} 0\n"
            "a_total{vm=\"web2\"} 1\n");
}

TEST(EngineMetrics, LeaveOutAVmWhoseMetricIsOfAnotherType) {
  PackRun one, two;
  one.use("  - {gauge: a, help: A., events: line, value: level}\n");
  two.use("  - {histogram: a, help: A., events: line, observe: level, buckets: [1]}\n");
  one.feed("line irq 1 level 1\n");
  two.feed("line irq 1 level 1\n");

  const auto page = page_of([&] {
    return std::vector<EngineOfVm>{{"web1", &one.engine, true}, {"web2", &two.engine, true}};
  });

  EXPECT_EQ(page, "# HELP a A.\n# TYPE a gauge\na{vm=\"web1\"} 1\n");
}

TEST(EngineMetrics, HaveNoFamilyWithoutSamples) {
  PackRun run;
  EXPECT_EQ(run.page(), "");

  run.use("  - {gauge: a, help: A., events: line, value: level}\n");

  EXPECT_EQ(families_of(run.page()), std::vector<std::string>{});
}

TEST(EngineMetrics, SayNothingOfWhatTheVmCannotOffer) {
  PackRun run(test::test_catalog, false);

  run.use(every_kind);

  EXPECT_EQ(run.page(), "");
}

TEST(EngineMetrics, HideLatenciesOfAVmWithoutTimes) {
  PackRun run;
  run.use(every_kind);

  EXPECT_THAT(run.page(true), HasSubstr("qemu_latency_seconds_count{vm=\"web1\"} 0\n"));
  EXPECT_THAT(run.page(false), Not(HasSubstr("qemu_latency_seconds_")));
}

TEST(EngineMetrics, HideLatenciesOnceRecordsCameWithoutTimes) {
  PackRun run;
  run.use(every_kind);

  run.feed("disk_read dev 0x1 sector 0 n 1\n");

  EXPECT_THAT(run.page(), Not(HasSubstr("qemu_latency_seconds_")));
}

TEST(EngineMetrics, KeepLatenciesThatWereMeasured) {
  PackRun run;
  run.use(every_kind);
  run.feed(some_lines);

  run.feed("disk_read dev 0x1 sector 0 n 1\n");

  EXPECT_THAT(run.page(false), HasSubstr("qemu_latency_seconds_count{vm=\"web1\"} 1\n"));
}

TEST(EngineMetrics, OfHistogramsAddUp) {
  PackRun run;
  run.use(
      "  - {histogram: a_seconds, help: A., events: line, observe: level, unit: microseconds, "
      "buckets: {exp2: {from: 0.000001, to: 0.1}}}\n");
  std::mt19937 random(1);
  std::uint64_t sum = 0;
  for (int i = 0; i < 500; ++i) {
    const auto value = random() % 300'000;
    sum += value;
    run.feed("line irq 1 level " + std::to_string(value) + "\n");
  }

  const auto buckets = run.samples("a_seconds_bucket");

  double before = 0;
  std::istringstream lines(buckets);
  for (std::string line; std::getline(lines, line);) {
    const double count = std::stod(line.substr(line.rfind(' ')));
    EXPECT_GE(count, before) << line;
    before = count;
  }
  EXPECT_THAT(buckets, testing::EndsWith("a_seconds_bucket{le=\"+Inf\"} 500\n"));
  EXPECT_EQ(run.samples("a_seconds_count"), "a_seconds_count 500\n");
  const auto shown = run.samples("a_seconds_sum");
  EXPECT_DOUBLE_EQ(std::stod(shown.substr(shown.find(' '))), static_cast<double>(sum) / 1e6);
}

TEST(EngineMetrics, OfBoundsAreWrittenAsTheFileHasThem) {
  PackRun run;
  run.use(
      "  - {latency: a_seconds, help: A., begin: disk_read, end: disk_done, key: dev, buckets: "
      "[0.00001, 0.1, 0.3, 2.5]}\n");

  EXPECT_EQ(run.samples("a_seconds_bucket"),
            "a_seconds_bucket{le=\"1e-05\"} 0\n"
            "a_seconds_bucket{le=\"0.1\"} 0\n"
            "a_seconds_bucket{le=\"0.3\"} 0\n"
            "a_seconds_bucket{le=\"2.5\"} 0\n"
            "a_seconds_bucket{le=\"+Inf\"} 0\n");
}

TEST(EngineMetrics, ShowTheErrorsOfTheSameValues) {
  PackRun run;
  run.use(
      "  - {topk: a, help: A., events: line, value: irq, decode: decimal, top: 2, capacity: 2}\n");

  for (const auto* irq : {"1", "1", "1", "2", "3"})
    run.feed("line irq " + std::string(irq) + " level 0\n");

  EXPECT_EQ(run.samples("a{") + run.samples("a_error"),
            "a{value=\"1\"} 3\na{value=\"3\"} 2\n"
            "a_error{value=\"1\"} 0\na_error{value=\"3\"} 1\n");
}

TEST(EngineMetrics, ShowNoErrorsOfAGaugeThatHasTheNameOfATop) {
  PackRun one, two;
  one.use("  - {topk: a, help: A., events: line, value: irq}\n");
  two.use("  - {gauge: a, help: A., events: line, value: level}\n");
  one.feed("line irq 1 level 1\n");
  two.feed("line irq 1 level 1\n");

  const auto page = page_of([&] {
    return std::vector<EngineOfVm>{{"web1", &one.engine, true}, {"web2", &two.engine, true}};
  });

  EXPECT_THAT(page, HasSubstr("a_error{vm=\"web1\",value=\"0x1\"} 0\n"));
  EXPECT_THAT(page, Not(HasSubstr("a_error{vm=\"web2\"")));
}

TEST(EngineMetrics, WriteLabelsInUtf8) {
  PackRun run;
  run.use("  - {counter: a_total, help: A., events: region, labels: {x: {argument: name}}}\n");
  run.feed("region name 'a\xff' addr 0x0 size 1\nregion name '\xc3\xa9' addr 0x0 size 1\n");

  const auto page = page_of([&] { return std::vector<EngineOfVm>{{"v\xfe", &run.engine, true}}; });

  EXPECT_THAT(page, HasSubstr("a_total{vm=\"v\uFFFD\",x=\"a\uFFFD\"} 1\n"
                              "a_total{vm=\"v\uFFFD\",x=\"\u00e9\"} 1\n"));
}

TEST(EngineMetrics, AccountForOverflowsOnlyWhereThereCanBeAny) {
  PackRun run;
  run.use(
      "  - {counter: a_total, help: A., events: line}\n"
      "  - {counter: b_total, help: B., events: line, labels: {x: {argument: irq}}}\n"
      "  - {heatmap: c_total, help: C., events: region, address: addr}\n"
      "  - {topk: d, help: D., events: region, value: addr}\n"
      "  - {counter: e_total, help: E., events: line, labels: {x: y}}\n");

  EXPECT_EQ(run.samples("qemond_series_overflow_total"),
            "qemond_series_overflow_total{metric=\"b_total\"} 0\n"
            "qemond_series_overflow_total{metric=\"c_total\"} 0\n");
}

// The server does other things between one family and the next, and there may be two scrapers.
TEST(EngineMetrics, OfHeatMapsNeverGoBackWhateverHappensDuringAScrape) {
  PackRun run;
  run.use("  - {heatmap: a_total, help: A., events: region, address: addr, ranges: 2}\n");
  const Engines engines([&] { return std::vector<EngineOfVm>{{"v", &run.engine, true}}; });
  std::mt19937 random(9);
  std::map<std::string, double> shown;
  const auto hit = [&] {
    for (auto count = random() % 5; count > 0; --count) {
      run.feed("region name 'x' addr " + std::to_string(random() % 10) + " size 4\n");
      run.feed("region name 'x' addr 0x" + std::to_string(random() % 9 + 1) + "000 size 4\n");
    }
  };

  for (int scrape = 0; scrape < 100; ++scrape) {
    hit();
    const auto first = pack_families(engines);
    hit();
    const auto second = pack_families(engines);
    hit();
    for (const auto* families : {&first, &second}) {
      const auto family = families->front()();
      hit();
      for (const auto& metric : family.metric) {
        auto& before = shown[metric.label.at(1).value];
        EXPECT_GE(metric.counter.value, before) << metric.label.at(1).value;
        before = metric.counter.value;
      }
    }
  }

  EXPECT_GT(shown.size(), 5U);
}

TEST(EngineMetrics, SatisfyPromtool) {
  PackRun run;
  run.use(every_kind);
  run.feed(some_lines);
  run.feed("line nonsense\n");

  const auto checked = test::check_by_promtool(run.page());
  if (!checked) GTEST_SKIP() << "promtool is not installed (package prometheus)";

  EXPECT_EQ(checked->status, 0) << checked->said;
}

}  // namespace
}  // namespace qemon::exporters
