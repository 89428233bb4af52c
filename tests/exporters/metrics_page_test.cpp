#include "exporters/metrics_page.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/exporters/promtool.hpp"

namespace qemon::exporters {
namespace {

std::string text_of(const MetricsPage& page) {
  return page.text();
}

TEST(MetricsPage, WritesFamiliesInTheOrderInWhichTheyWereAdded) {
  MetricsPage page;
  page.add([] {
    auto family = gauge_family("qemu_up", "Whether qemond is attached.");
    add_sample(family, {{"vm", "web1"}}, 1);
    add_sample(family, {{"vm", "arm"}}, 0);
    return family;
  });
  page.add([] {
    auto family = counter_family("qemond_turns_total", "Turns.");
    add_sample(family, {}, 2.5);
    return family;
  });

  const std::string text = text_of(page);

  EXPECT_EQ(page.writers().size(), 2U);
  EXPECT_EQ(text,
            "# HELP qemu_up Whether qemond is attached.\n"
            "# TYPE qemu_up gauge\n"
            "qemu_up{vm=\"web1\"} 1\n"
            "qemu_up{vm=\"arm\"} 0\n"
            "# HELP qemond_turns_total Turns.\n"
            "# TYPE qemond_turns_total counter\n"
            "qemond_turns_total 2.5\n");
}

TEST(MetricsPage, LeavesOutAFamilyWithoutSamples) {
  EXPECT_EQ(serialize(counter_family("qemond_nothing_total", "Nothing.")), "");
}

TEST(MetricsPage, CollectsAnewEachTime) {
  std::uint64_t count = 1;
  MetricsPage page;
  page.add([&] {
    auto family = counter_family("a_total", "A.");
    add_sample(family, {}, count);
    return family;
  });

  EXPECT_NE(text_of(page).find("a_total 1\n"), std::string::npos);
  count = 2;
  EXPECT_NE(text_of(page).find("a_total 2\n"), std::string::npos);
}

TEST(MetricsPage, AsksAGroupForItsFamiliesAtEachScrape) {
  std::vector<std::string> names;
  int asked = 0;
  MetricsPage page;
  page.add_group([&] {
    ++asked;
    std::vector<MetricsPage::Collect> collects;
    for (const auto& name : names) {
      collects.emplace_back([name] {
        auto family = gauge_family(name, "Of a group.");
        add_sample(family, {}, 1);
        return family;
      });
    }
    return collects;
  });
  page.add([] {
    auto family = gauge_family("last", "Added last.");
    add_sample(family, {}, 1);
    return family;
  });

  const std::string before = text_of(page);
  names = {"one", "two"};
  const std::string after = text_of(page);

  const std::string last = "# HELP last Added last.\n# TYPE last gauge\nlast 1\n";
  EXPECT_EQ(before, last);
  EXPECT_EQ(after,
            "# HELP one Of a group.\n# TYPE one gauge\none 1\n"
            "# HELP two Of a group.\n# TYPE two gauge\ntwo 1\n" +
                last);
  EXPECT_EQ(asked, 2);
}

TEST(MetricsPage, WritesIntegersExactlyUpToTheLimitOfADouble) {
  auto family = counter_family("a_total", "A.");
  add_sample(family, {}, std::uint64_t{1} << 53U);
  add_sample(family, {}, (std::uint64_t{1} << 53U) - 1);
  add_sample(family, {}, std::uint64_t{1'000'000'000'001});

  const std::string text = serialize(family);

  EXPECT_NE(text.find("a_total 9007199254740992\n"), std::string::npos) << text;
  EXPECT_NE(text.find("a_total 9007199254740991\n"), std::string::npos) << text;
  EXPECT_NE(text.find("a_total 1000000000001\n"), std::string::npos) << text;
}

TEST(MetricsPage, EscapesHelpAndLabelValues) {
  auto family = gauge_family("a", "one\ntwo \\ three");
  add_sample(family, {{"vm", "a\"b\\c\nd"}}, 1);

  EXPECT_EQ(serialize(family),
            "# HELP a one\\ntwo \\\\ three\n"
            "# TYPE a gauge\n"
            "a{vm=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(MetricsPage, ReplacesBytesThatAreNotUtf8SoThatOneNameCannotSpoilThePage) {
  auto family = gauge_family("a", "A.");
  add_sample(family, {{"vm", "x\xFFy\xC3"}}, 1);

  EXPECT_NE(serialize(family).find("a{vm=\"x\uFFFDy\uFFFD\"} 1\n"), std::string::npos);
}

TEST(MetricsPage, SatisfiesPromtool) {
  auto events =
      counter_family("qemu_trace_events_total", "Records of each trace event.\nAll of them: \\o/");
  add_sample(events, {{"vm", "a\"b\\c\nd\xFF"}, {"event", "virtio_blk_handle_read"}},
             std::uint64_t{1} << 53U);
  add_sample(events, {{"vm", "w\u00e9b"}, {"event", "x"}}, 1e300);
  auto lag = gauge_family("qemond_trace_lag_seconds", "How old the newest record is.");
  add_sample(lag, {{"vm", "web1"}}, 0.1);

  const auto checked = test::check_by_promtool(serialize(events) + serialize(lag));
  if (!checked) GTEST_SKIP() << "promtool is not installed (package prometheus)";

  EXPECT_EQ(checked->status, 0);
  EXPECT_EQ(checked->said, "");
}

}  // namespace
}  // namespace qemon::exporters
