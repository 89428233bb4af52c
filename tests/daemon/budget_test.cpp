#include "daemon/budget.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A VM whose events make records at steady rates, and a clock.
class BudgetOf : public testing::Test {
 protected:
  struct Event {
    double rate = 0;
    bool ours = true;
    double made = 0;
  };

  BudgetOf() {
    auto limits = budget_limits({}, false);
    limits.records = 1000;
    limits.bytes = 1e6;
    limits.drops = 10;
    limits.grace = 5s;
    budget.set_limits(limits);
  }

  /// Lets that much time pass in steps of 250 ms, and returns what went off.
  std::vector<trace::EventIndex> pass(std::chrono::milliseconds time) {
    std::vector<trace::EventIndex> off;
    for (auto left = time; left > 0ms; left -= 250ms) {
      now += 250ms;
      for (const auto& trip : tick()) {
        off.push_back(trip.event);
        why = trip.why;
        events.erase(trip.event);
      }
    }
    return off;
  }

  std::vector<Trip> tick() {
    BudgetSample sample;
    sample.time = now;
    for (auto& [index, event] : events) {
      event.made += event.rate / 4;
      records += event.rate / 4;
      sample.events.push_back({index, static_cast<std::uint64_t>(event.made), event.ours});
    }
    drops += drop_rate / 4;
    sample.records = static_cast<std::uint64_t>(records);
    sample.bytes = static_cast<std::uint64_t>(records * record_bytes);
    sample.drops = static_cast<std::uint64_t>(drops);
    sample.lag_seconds = lag;
    return budget.tick(std::move(sample));
  }

  Budget budget;
  std::chrono::steady_clock::time_point now{1000s};
  std::map<trace::EventIndex, Event> events;
  double records = 0;
  double record_bytes = 100;
  double drop_rate = 0;
  double drops = 0;
  std::optional<double> lag;
  std::string why;
};

TEST_F(BudgetOf, LetsOnWhatFits) {
  events = {{1, {400}}, {2, {600}}};

  EXPECT_THAT(pass(60s), IsEmpty());
  EXPECT_EQ(budget.rates()->records, 1000);
}

TEST_F(BudgetOf, SwitchesOffWhatCostsMostUntilTheRestFits) {
  events = {{1, {400}}, {2, {3000}}, {3, {900}}, {4, {10}}};

  EXPECT_THAT(pass(5750ms), IsEmpty());
  EXPECT_THAT(pass(1s), ElementsAre(2, 3));
  EXPECT_THAT(why, HasSubstr("900 records/s when there were 4,310 records/s in all, with a budget "
                             "of 1,000"));
  EXPECT_THAT(pass(60s), IsEmpty());
}

TEST_F(BudgetOf, AllowsABurstThatIsShorterThanTheGracePeriod) {
  events = {{1, {5000}}};
  EXPECT_THAT(pass(5s), IsEmpty());
  events[1].rate = 10;
  EXPECT_THAT(pass(2s), IsEmpty());
  events[1].rate = 5000;
  EXPECT_THAT(pass(5s), IsEmpty());
}

TEST_F(BudgetOf, LimitsBytesToo) {
  record_bytes = 5000;
  events = {{1, {150}}, {2, {100}}};

  EXPECT_THAT(pass(10s), ElementsAre(1));
  EXPECT_THAT(why, HasSubstr("bytes/s of trace"));
  EXPECT_THAT(pass(10s), IsEmpty());
}

TEST_F(BudgetOf, SwitchesOffOneEventAtATimeAgainstDrops) {
  events = {{1, {100}}, {2, {200}}, {3, {300}}};
  drop_rate = 100;

  EXPECT_THAT(pass(7s), ElementsAre(3));
  EXPECT_THAT(why, HasSubstr("dropped by QEMU"));
  EXPECT_THAT(pass(7s), ElementsAre(2));
  drop_rate = 0;
  EXPECT_THAT(pass(60s), IsEmpty());
}

TEST_F(BudgetOf, SwitchesOffOneEventAtATimeAgainstLag) {
  events = {{1, {100}}, {2, {200}}};
  lag = 6;

  EXPECT_THAT(pass(7s), ElementsAre(2));
  EXPECT_THAT(why, HasSubstr("6 s of trace lag, with a budget of 5"));
}

TEST_F(BudgetOf, NeverSwitchesOffWhatOthersSwitchedOn) {
  events = {{1, {5000, false}}, {2, {5}}};

  EXPECT_THAT(pass(20s), IsEmpty());
  EXPECT_THAT(budget.exceeded_by_others(), HasSubstr("5,005 records/s in all"));
  events[1].rate = 0;
  EXPECT_THAT(pass(2s), IsEmpty());
  EXPECT_EQ(budget.exceeded_by_others(), "");
}

TEST_F(BudgetOf, SwitchesOffOursThatIsTooMuchBesideOthers) {
  events = {{1, {800, false}}, {2, {700}}, {3, {100}}};

  EXPECT_THAT(pass(20s), ElementsAre(2));
}

TEST_F(BudgetOf, SwitchesOffManyThatAreSmallEach) {
  for (trace::EventIndex event = 0; event < 500; ++event) events[event] = {4};

  // Half of them have to go.
  EXPECT_EQ(pass(20s).size(), 250U);
}

TEST_F(BudgetOf, HasNoLimits) {
  budget.set_limits(budget_limits(*parse_budget("unlimited"), true));
  events = {{1, {1e7}}};
  drop_rate = 1e6;
  lag = 1000;

  EXPECT_THAT(pass(60s), IsEmpty());
}

TEST_F(BudgetOf, BeginsAnewWhenOtherEventsAreOn) {
  events = {{1, {5000}}};
  pass(5s);

  budget.restart();

  EXPECT_FALSE(budget.rates());
  EXPECT_THAT(pass(5s), IsEmpty());
  EXPECT_THAT(pass(2s), ElementsAre(1));
}

TEST(BudgetSettings, AreReadFromWords) {
  const auto settings = parse_budget("records=100000,bytes=1MiB,drops=0,lag=2s,grace=100ms");

  ASSERT_TRUE(settings);
  const auto limits = budget_limits(*settings, false);
  EXPECT_EQ(limits.records, 100'000);
  EXPECT_EQ(limits.bytes, 1 << 20);
  EXPECT_EQ(limits.drops, 0);
  EXPECT_EQ(limits.lag_seconds, 2);
  EXPECT_EQ(limits.grace, 100ms);
}

TEST(BudgetSettings, AddUp) {
  auto settings = *parse_budget("unlimited");
  settings.add(*parse_budget("records=7"));

  const auto limits = budget_limits(settings, true);

  EXPECT_EQ(limits.records, 7);
  EXPECT_EQ(limits.bytes, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(limits.any());
  EXPECT_FALSE(budget_limits(*parse_budget("unlimited"), true).any());
}

TEST(BudgetSettings, HaveDefaultsForEachBackend) {
  EXPECT_EQ(budget_limits({}, false).records, 50'000);
  EXPECT_EQ(budget_limits({}, true).records, 200'000);
  EXPECT_EQ(budget_limits({}, true).grace, 5s);
}

TEST(BudgetSettings, TellWhatIsWrong) {
  EXPECT_THAT(parse_budget("much").error().detail, HasSubstr("write unlimited, or"));
  EXPECT_THAT(parse_budget("").error().detail, HasSubstr("write unlimited, or"));
  EXPECT_THAT(parse_budget("records=-1").error().detail, HasSubstr("records: write how many"));
  EXPECT_THAT(parse_budget("records=1,").error().detail, HasSubstr("write unlimited, or"));
  EXPECT_THAT(parse_budget("bytes=1x").error().detail, HasSubstr("bytes: write how many"));
  EXPECT_THAT(parse_budget("grace=soon").error().detail, HasSubstr("grace: write a duration"));
  EXPECT_THAT(parse_budget("speed=1").error().detail, HasSubstr("\"speed\" is unknown"));
}

}  // namespace
}  // namespace qemon::daemon
