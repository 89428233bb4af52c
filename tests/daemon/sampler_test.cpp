#include "daemon/sampler.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;

constexpr trace::EventIndex event = 3;
constexpr Sampling twentieth{50ms, 1s};
constexpr Sampler::Time start{100s};

/// A sampler and the event's switch, driven in steps of a millisecond.
struct Driven {
  explicit Driven(std::function<double()> random) : sampler(std::move(random)) {}

  void follow(Sampler::Mode mode) { sampler.follow(event, mode, twentieth, on, read, now); }
  /// `rate`: records in this millisecond.
  void step(std::uint64_t rate) {
    const auto turn = sampler.turn(now);
    for (const auto each : turn.open) {
      sampler.settle(each, read, 0ns);
      sampler.switched(each, on = true, now);
      opened.push_back(now);
    }
    for (const auto& each : turn.close) {
      sampler.switched(each.event, on = false, now);
      sampler.settle(each.event, read, each.stands_for);
    }
    now += 1ms;
    if (!on) return;
    read.of_event += rate;
    read.of_all += rate;
  }
  [[nodiscard]] Sampler::Estimate estimate() const {
    return sampler.estimates([this](trace::EventIndex) { return read.of_event; }, now).at(0);
  }

  Sampler sampler;
  Sampler::Time now = start;
  bool on = false;
  RecordsRead read;
  std::vector<Sampler::Time> opened;
};

std::function<double()> seeded() {
  return [engine = std::mt19937_64(7)]() mutable {
    return std::generate_canonical<double, 53>(engine);
  };
}

TEST(Sampler, EstimatesASteadyRateFromAShareOfTheTime) {
  Driven run(seeded());
  run.follow(Sampler::Mode::sampled);

  for (int i = 0; i < 300'000; ++i) run.step(2);

  EXPECT_NEAR(run.estimate().total, 600'000, 6'000);
  EXPECT_NEAR(run.estimate().observed_seconds, 15, 1);
}

TEST(Sampler, IsNotFooledByAGuestThatKeepsStepWithItsPeriods) {
  // Busy for the first tenth of each second only, or for the last.
  for (const int busy_from : {0, 500, 900}) {
    Driven run(seeded());
    run.follow(Sampler::Mode::sampled);
    double truth = 0;

    for (int i = 0; i < 2'000'000; ++i) {
      const bool busy = i % 1000 >= busy_from && i % 1000 < busy_from + 100;
      run.step(busy ? 10 : 0);
      truth += busy ? 10 : 0;
    }

    EXPECT_NEAR(run.estimate().total, truth, 0.15 * truth) << busy_from;
  }
}

TEST(Sampler, BeginsEachWindowAtAnotherMomentOfItsPeriod) {
  double next = 0;
  Driven run([&] { return std::exchange(next, next + 0.25); });
  run.follow(Sampler::Mode::sampled);

  for (int i = 0; i < 4000; ++i) run.step(0);

  const std::vector<Sampler::Time> expected{start, start + 1250ms, start + 2500ms, start + 3750ms};
  EXPECT_EQ(run.opened, expected);
}

TEST(Sampler, JoinsWindowsThatOverlap) {
  std::vector<double> phases{0.99, 0.0, 0.5};
  Driven run([&] {
    const double phase = phases.front();
    if (phases.size() > 1) phases.erase(phases.begin());
    return phase;
  });
  run.follow(Sampler::Mode::sampled);

  for (int i = 0; i < 2000; ++i) run.step(1);

  // From 990 ms to 1050 ms, for two periods.
  EXPECT_EQ(run.opened.size(), 1U);
  EXPECT_NEAR(run.estimate().observed_seconds, 0.06, 0.002);
  EXPECT_NEAR(run.estimate().total, 2000, 1);
}

TEST(Sampler, LetsAWindowStandForPeriodsThatPassedUnseen) {
  Driven run([] { return 0.0; });
  run.follow(Sampler::Mode::sampled);
  run.now += 2500ms;

  for (int i = 0; i < 100; ++i) run.step(1);

  EXPECT_NEAR(run.estimate().total, 3000, 1);
}

TEST(Sampler, SaysNothingOfTheTimeBeforeASessionBegins) {
  Driven run([] { return 0.0; });
  run.follow(Sampler::Mode::sampled);
  run.now += 2500ms;
  run.sampler.resume(run.now);

  for (int i = 0; i < 100; ++i) run.step(1);

  EXPECT_NEAR(run.estimate().total, 1000, 1);
}

TEST(Sampler, CountsAsItIsWhileAnEventIsOnAnyway) {
  Driven run([] { return 0.0; });
  run.follow(Sampler::Mode::sampled);
  for (int i = 0; i < 100; ++i) run.step(1);

  run.on = true;
  run.follow(Sampler::Mode::continuous);
  for (int i = 0; i < 500; ++i) run.step(1);

  EXPECT_NEAR(run.estimate().total, 1500, 1);
  run.on = false;
  run.follow(Sampler::Mode::off);
  EXPECT_NEAR(run.estimate().total, 1500, 1);
  EXPECT_NEAR(run.estimate().observed_seconds, 0.55, 0.002);
}

TEST(Sampler, ReckonsWithWhatQemuDropped) {
  Driven run([] { return 0.0; });
  run.follow(Sampler::Mode::sampled);

  for (int i = 0; i < 40; ++i) run.step(1);
  run.read.dropped += 40;
  for (int i = 0; i < 60; ++i) run.step(0);

  EXPECT_NEAR(run.estimate().total, 40 * 2 * 20, 1);
}

TEST(Sampler, DoesNotExtrapolateFromAWindowThatHardlyBegan) {
  Driven run([] { return 0.0; });
  run.follow(Sampler::Mode::sampled);
  for (int i = 0; i < 10; ++i) run.step(1);

  run.on = false;
  run.follow(Sampler::Mode::off);

  EXPECT_EQ(run.estimate().total, 10);
}

TEST(Sampler, FollowsOnlyWhatWasEverSampled) {
  Driven run([] { return 0.0; });

  run.follow(Sampler::Mode::continuous);

  EXPECT_TRUE(run.sampler.followed().empty());
  EXPECT_EQ(run.sampler.next(), Sampler::Time::max());
}

}  // namespace
}  // namespace qemon::daemon
