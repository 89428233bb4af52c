#include "daemon/collect_memory.hpp"

#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using test::expect_sound;
using test::samples_of;

const HostClocks now{6114.5, 1'795'408'151.5};

TEST(CollectMemory, ShowsSizesAndTheBalloon) {
  const Figures figures =
      memory_figures(json{{"base-memory", 134217728}, {"plugged-memory", 0}},
                     json{{"actual", 67108864}}, json{{"status", "unstarted"}}, now);

  expect_sound(figures);
  EXPECT_EQ(samples_of(figures),
            "qemu_balloon_actual_bytes 67108864\n"
            "qemu_memory_base_bytes 134217728\n"
            "qemu_memory_plugged_bytes 0\n");
}

// 7.2 tells the start by the host's monotonic clock.
TEST(CollectMemory, ShowsTheDirtyRateOf72AndItsAge) {
  const json rate = json::parse(
      R"({"status": "measured", "sample-pages": 512, "dirty-rate": 3, "mode": "page-sampling",
          "start-time": 6111, "calc-time": 1})");

  EXPECT_EQ(samples_of(memory_figures(nullptr, nullptr, rate, now)),
            "qemu_dirty_rate_age_seconds 2.5\nqemu_dirty_rate_bytes_per_second 3145728\n");
}

// 10.0 tells it by the wall clock.
TEST(CollectMemory, ShowsTheDirtyRateOf100AndItsAge) {
  const json rate = json::parse(
      R"({"status": "measured", "sample-pages": 512, "dirty-rate": 0, "mode": "page-sampling",
          "calc-time-unit": "millisecond", "start-time": 1795408148, "calc-time": 500})");

  EXPECT_EQ(samples_of(memory_figures(nullptr, nullptr, rate, now)),
            "qemu_dirty_rate_age_seconds 3\nqemu_dirty_rate_bytes_per_second 0\n");
}

TEST(CollectMemory, TheAgeOfARateOnAnotherHostIsNotGuessed) {
  const json rate{
      {"status", "measured"}, {"dirty-rate", 1}, {"start-time", 6111}, {"calc-time", 1}};

  EXPECT_EQ(samples_of(memory_figures(nullptr, nullptr, rate, HostClocks{{}, now.wall})),
            "qemu_dirty_rate_bytes_per_second 1048576\n");
}

TEST(CollectMemory, ARateThatIsBeingMeasuredIsNotShown) {
  const json rate{{"status", "measuring"}, {"dirty-rate", 1}, {"start-time", 1}, {"calc-time", 1}};

  EXPECT_TRUE(memory_figures(nullptr, nullptr, rate, now).empty());
}

TEST(CollectMemory, SurvivesWhateverAnswerComes) {
  const json rate{
      {"status", "measured"}, {"dirty-rate", 1}, {"start-time", 6111}, {"calc-time", 1}};
  for (const json& answer : test::spoilt(rate)) {
    expect_sound(memory_figures(answer, answer, answer, now));
  }
}

}  // namespace
}  // namespace qemon::daemon
