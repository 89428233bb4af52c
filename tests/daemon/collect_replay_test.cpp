#include "daemon/collect_replay.hpp"

#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;

TEST(CollectReplay, ShowsInstructionsWhereQemuCountsThem) {
  EXPECT_EQ(test::samples_of(replay_figures(json{{"icount", 29525197}, {"mode", "none"}})),
            "qemu_guest_instructions_total 29525197\n");
  EXPECT_TRUE(replay_figures(json{{"icount", 0}, {"mode", "none"}}).empty());
  EXPECT_TRUE(replay_figures(json{{"mode", "none"}}).empty());
}

TEST(CollectReplay, SurvivesWhateverAnswerComes) {
  for (const json& answer : test::spoilt(json{{"icount", 5}, {"mode", "play"}})) {
    test::expect_sound(replay_figures(answer));
  }
}

}  // namespace
}  // namespace qemon::daemon
