#include "daemon/run_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using test::expect_sound;
using test::samples_of;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

RunStateClock::Time at(std::chrono::milliseconds time) {
  return RunStateClock::Time(1000s + time);
}

TEST(RunStateClock, ShowsNothingBeforeItIsTold) {
  EXPECT_TRUE(RunStateClock().figures(at(5s)).empty());
}

TEST(RunStateClock, CountsTheTimeInEachState) {
  RunStateClock clock;
  clock.changed("prelaunch", at(0s));
  clock.changed("running", at(1500ms));
  clock.changed("running", at(3s));
  clock.changed("paused", at(4s));

  const Figures figures = clock.figures(at(4250ms));

  expect_sound(figures);
  const std::string samples = samples_of(figures);
  EXPECT_THAT(samples, HasSubstr("qemu_run_state{state=\"paused\"} 1\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_run_state{state=\"running\"} 0\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_run_state{state=\"guest-panicked\"} 0\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_run_state_seconds_total{state=\"prelaunch\"} 1.5\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_run_state_seconds_total{state=\"running\"} 2.5\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_run_state_seconds_total{state=\"paused\"} 0.25\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_run_state_seconds_total{state=\"io-error\"} 0\n"));
  EXPECT_THAT(samples, Not(HasSubstr("other")));
}

TEST(RunStateClock, DoesNotCountTimeInWhichNobodySawTheVm) {
  RunStateClock clock;
  clock.changed("running", at(0s));
  clock.lost(at(1s));

  const std::string unseen = samples_of(clock.figures(at(60s)));
  clock.changed("running", at(100s));
  const std::string again = samples_of(clock.figures(at(101s)));

  EXPECT_THAT(unseen, Not(HasSubstr("qemu_run_state{")));
  EXPECT_THAT(unseen, HasSubstr("qemu_run_state_seconds_total{state=\"running\"} 1\n"));
  EXPECT_THAT(again, HasSubstr("qemu_run_state_seconds_total{state=\"running\"} 2\n"));
}

TEST(RunStateClock, AStateOfALaterQemuIsOther) {
  RunStateClock clock;
  clock.changed("levitating", at(0s));
  clock.changed("other", at(1s));

  const std::string samples = samples_of(clock.figures(at(2s)));

  EXPECT_THAT(samples, HasSubstr("qemu_run_state{state=\"other\"} 1\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_run_state_seconds_total{state=\"other\"} 2\n"));
}

TEST(RunStateClock, ATimeThatGoesBackAddsNothing) {
  RunStateClock clock;
  clock.changed("running", at(10s));
  clock.changed("paused", at(5s));

  EXPECT_THAT(samples_of(clock.figures(at(1s))),
              HasSubstr("qemu_run_state_seconds_total{state=\"running\"} 0\n"));
}

}  // namespace
}  // namespace qemon::daemon
