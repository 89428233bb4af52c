#include "daemon/leases.hpp"

#include <gtest/gtest.h>

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;

constexpr trace::EventIndex event = 3;
constexpr LeaseId alice = 7;
constexpr LeaseId bob = 8;
constexpr BootClock::time_point start{100s};

/// Leases of alice and bob, without events and without end.
Leases two_leases() {
  Leases leases;
  for (const auto id : {alice, bob}) {
    Lease lease;
    lease.id = id;
    lease.patterns = {"some_*"};
    lease.since = start;
    leases.grant(std::move(lease));
  }
  return leases;
}

/// What changes() asks for, as text: "+3 -4".
std::string changes_of(const Leases& leases) {
  std::string text;
  for (const auto& change : leases.changes()) {
    text += (text.empty() ? "" : " ") + std::string(change.enable ? "+" : "-") +
            std::to_string(change.event);
  }
  return text;
}

TEST(Leases, SwitchesAHeldEventOnAndOffAgainWithItsLastHolder) {
  auto leases = two_leases();
  leases.found(event, false, false);
  leases.take(event, alice);
  leases.take(event, bob);
  EXPECT_EQ(changes_of(leases), "+3");
  leases.applied(event, true);

  EXPECT_TRUE(leases.give_back(event, alice));

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_TRUE(leases.give_back(event, bob));
  EXPECT_EQ(changes_of(leases), "-3");
  leases.applied(event, false);
  EXPECT_EQ(changes_of(leases), "");
}

TEST(Leases, NeverSwitchesOffWhatWasOnBefore) {
  auto leases = two_leases();
  leases.found(event, true, false);

  leases.take(event, alice);
  EXPECT_EQ(changes_of(leases), "");
  leases.give_back(event, alice);

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_TRUE(leases.at(event).found_on);
}

TEST(Leases, TakingTwiceNeedsGivingBackOnce) {
  auto leases = two_leases();
  leases.take(event, alice);
  leases.take(event, alice);
  leases.applied(event, true);

  EXPECT_TRUE(leases.give_back(event, alice));

  EXPECT_EQ(changes_of(leases), "-3");
  EXPECT_FALSE(leases.give_back(event, alice));
}

TEST(Leases, RespectsThatSomebodyElseSwitchedAHeldEventOffUntilItIsAskedForAgain) {
  auto leases = two_leases();
  leases.take(event, alice);
  leases.applied(event, true);

  EXPECT_TRUE(leases.observe(event, false));

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_TRUE(leases.at(event).switched_off_by_others);
  EXPECT_FALSE(leases.any_wanted());
  leases.take(event, alice);
  EXPECT_EQ(changes_of(leases), "+3");
}

TEST(Leases, LeavesOnWhatSomebodyElseSwitchedOnMeanwhile) {
  auto leases = two_leases();
  leases.found(event, false, false);

  EXPECT_TRUE(leases.observe(event, true));
  leases.take(event, alice);
  leases.give_back(event, alice);

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_TRUE(leases.at(event).on);
}

TEST(Leases, LeavesOnWhatSomebodyElseSwitchedOnAfterSwitchingItOff) {
  auto leases = two_leases();
  leases.take(event, alice);
  leases.applied(event, true);
  leases.observe(event, false);
  leases.observe(event, true);

  leases.give_back(event, alice);

  EXPECT_EQ(changes_of(leases), "");
}

TEST(Leases, SeeingWhatIsBelievedIsNoForeignChange) {
  auto leases = two_leases();
  leases.take(event, alice);
  leases.applied(event, true);

  EXPECT_FALSE(leases.observe(event, true));

  EXPECT_TRUE(leases.at(event).ours);
}

TEST(Leases, HoldersOutliveTheProcess) {
  auto leases = two_leases();
  leases.take(event, alice);
  leases.applied(event, true);

  leases.forget_process();
  leases.found(event, false, false);

  EXPECT_EQ(changes_of(leases), "+3");
  EXPECT_EQ(leases.count_on(), 0U);
}

TEST(Leases, AskNothingOfAnUnavailableEvent) {
  auto leases = two_leases();
  leases.found(event, false, true);

  leases.take(event, alice);

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_FALSE(leases.any_wanted());
}

TEST(Leases, DoNotAskAgainForWhatWasRefused) {
  auto leases = two_leases();
  leases.take(event, alice);

  leases.refused(event);

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_EQ(leases.count_held(), 0U);
}

TEST(Leases, EndingEverythingSwitchesOffOnlyWhatIsOurs) {
  auto leases = two_leases();
  leases.found(1, true, false);
  leases.take(1, alice);
  leases.take(2, alice);
  leases.applied(2, true);

  leases.end_all();

  EXPECT_EQ(changes_of(leases), "-2");
  EXPECT_EQ(leases.ours(), std::vector<trace::EventIndex>{2});
}

TEST(Leases, RememberThatAnEventWasOn) {
  auto leases = two_leases();
  leases.found(event, false, false);
  EXPECT_FALSE(leases.at(event).ever_on);

  leases.observe(event, true);
  leases.observe(event, false);

  EXPECT_TRUE(leases.at(event).ever_on);
  EXPECT_FALSE(leases.at(1000).ever_on);
}

TEST(Leases, EndWithTheirEventsAndLeaveThoseOfOthersOn) {
  auto leases = two_leases();
  leases.take(1, alice);
  leases.take(event, alice);
  leases.take(event, bob);
  leases.applied(1, true);
  leases.applied(event, true);

  leases.end(alice);

  EXPECT_EQ(changes_of(leases), "-1");
  EXPECT_EQ(leases.find(alice), nullptr);
  EXPECT_EQ(leases.at(event).holders, std::vector<LeaseId>{bob});
}

TEST(Leases, AreOverWhenTheirTimeHasCome) {
  auto leases = two_leases();
  EXPECT_FALSE(leases.next_end());

  leases.set_until(alice, start + 30s);
  leases.set_until(bob, start + 10s);

  EXPECT_EQ(leases.next_end(), start + 10s);
  EXPECT_TRUE(leases.over(start + 9s).empty());
  EXPECT_EQ(leases.over(start + 10s), std::vector<LeaseId>{bob});
  EXPECT_EQ(leases.over(start + 1h), (std::vector<LeaseId>{alice, bob}));
  leases.set_until(alice, std::nullopt);
  EXPECT_EQ(leases.over(start + 1h), std::vector<LeaseId>{bob});
}

TEST(Leases, OfPatternsEndWithTheirLastEventAndThoseOfPacksDoNot) {
  auto leases = two_leases();
  Lease pack;
  pack.id = 9;
  pack.pack = "irq";
  leases.grant(std::move(pack));
  leases.take(event, alice);

  leases.end_empty();

  EXPECT_NE(leases.find(alice), nullptr);
  EXPECT_EQ(leases.find(bob), nullptr);
  EXPECT_EQ(leases.packs(), std::set<std::string>{"irq"});
  leases.give_back(event, alice);
  leases.end_empty();
  EXPECT_EQ(leases.all().size(), 1U);
}

TEST(Leases, TakeForTheirsWhatAnEarlierLifeHadSwitchedOn) {
  auto leases = two_leases();
  leases.found(1, true, false);
  leases.found(2, true, false);
  leases.found(event, true, false);
  leases.take(1, alice);

  leases.found_ours(1);
  leases.found_ours(2);

  EXPECT_EQ(changes_of(leases), "-2");
  EXPECT_FALSE(leases.at(1).found_on);
  EXPECT_TRUE(leases.at(event).found_on);
}

TEST(Leases, RespectWhatOthersSwitchedOffBetweenTwoLives) {
  auto leases = two_leases();
  leases.found(event, false, false);
  leases.take(event, alice);

  leases.found_off_by_others(event);
  leases.found_off_by_others(1);

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_EQ(leases.off_by_others(), std::vector<trace::EventIndex>{event});
}

TEST(Leases, KeepOffWhatIsTooMuchUntilItIsTakenAgain) {
  auto leases = two_leases();
  leases.found(event, false, false);
  leases.take(event, alice);
  leases.applied(event, true);

  leases.trip(event, "too much");

  EXPECT_EQ(changes_of(leases), "-" + std::to_string(event));
  EXPECT_FALSE(leases.any_wanted());
  EXPECT_EQ(leases.at(event).holders.size(), 1U);
  leases.applied(event, false);
  leases.forget_process();
  leases.found(event, false, false);
  EXPECT_EQ(changes_of(leases), "");
  EXPECT_EQ(leases.tripped(), std::vector<trace::EventIndex>{event});
  leases.take(event, alice);
  EXPECT_EQ(changes_of(leases), "+" + std::to_string(event));
  EXPECT_EQ(leases.at(event).tripped, "");
}

TEST(Leases, ForgetThatSomethingIsTooMuchWithItsLastHolder) {
  auto leases = two_leases();
  leases.trip(event, "nobody has it");
  leases.take(event, alice);
  leases.take(event, bob);
  leases.trip(event, "too much");

  leases.end(alice);
  const auto held = leases.at(event).tripped;
  leases.end(bob);

  EXPECT_EQ(held, "too much");
  EXPECT_EQ(leases.at(event).tripped, "");
  EXPECT_TRUE(leases.tripped().empty());
}

TEST(Leases, LeaveOnWhatIsTooMuchButOthersHaveOn) {
  auto leases = two_leases();
  leases.found(event, true, false);
  leases.take(event, alice);

  leases.trip(event, "too much");

  EXPECT_EQ(changes_of(leases), "");
}

TEST(Leases, TakeNoRoomForEventsThatAreOff) {
  Leases leases;
  for (trace::EventIndex each = 0; each < 5000; ++each) leases.found(each, false, false);
  leases.observe(4999, false);

  EXPECT_EQ(leases.at(4999).holders.capacity(), 0U);
  EXPECT_EQ(leases.count_on(), 0U);
  EXPECT_EQ(changes_of(leases), "");
}

TEST(Leases, SayWhatTheyAreForAndWhoAsked) {
  Lease lease;
  lease.patterns = {"virtio_*", "apic_deliver_irq"};
  EXPECT_EQ(subject_of(lease), "virtio_* apic_deliver_irq");
  lease.pack = "irq";
  EXPECT_EQ(subject_of(lease), "pack irq");
  EXPECT_EQ(to_string(Asker{"alice", 1000}), "alice(1000)");
  EXPECT_EQ(to_string(Asker{"configuration", {}}), "configuration");
}

/// One lease of alice that is sampled.
Leases sampled_lease() {
  Leases leases;
  Lease lease;
  lease.id = alice;
  lease.patterns = {"some_*"};
  lease.since = start;
  lease.sampling = Sampling{20ms, 1s};
  leases.grant(std::move(lease));
  leases.found(event, false, false);
  leases.take(event, alice);
  return leases;
}

TEST(Leases, WantASampledEventOnInItsWindowsOnly) {
  auto leases = sampled_lease();
  EXPECT_EQ(changes_of(leases), "");
  EXPECT_TRUE(leases.any_wanted());

  leases.set_window(event, true);
  EXPECT_EQ(changes_of(leases), "+3");
  leases.applied(event, true);
  leases.set_window(event, false);

  EXPECT_EQ(changes_of(leases), "-3");
  leases.applied(event, false);
  EXPECT_EQ(leases.sampling_of(event), (Sampling{20ms, 1s}));
  leases.end(alice);
  EXPECT_FALSE(leases.any_wanted());
  EXPECT_EQ(leases.sampling_of(event), std::nullopt);
}

TEST(Leases, WantAnEventOnAllTheTimeIfOneOfThemDoes) {
  auto leases = sampled_lease();
  Lease lease;
  lease.id = bob;
  lease.patterns = {"some_*"};
  leases.grant(std::move(lease));

  leases.take(event, bob);

  EXPECT_EQ(changes_of(leases), "+3");
  EXPECT_EQ(leases.sampling_of(event), std::nullopt);
  leases.applied(event, true);
  leases.end(bob);
  EXPECT_EQ(changes_of(leases), "-3");
}

TEST(Leases, SampleAnEventAsTheOneWantsThatWantsMost) {
  auto leases = sampled_lease();
  Lease lease;
  lease.id = bob;
  lease.patterns = {"some_*"};
  lease.sampling = Sampling{100ms, 2s};
  leases.grant(std::move(lease));

  leases.take(event, bob);

  EXPECT_EQ(leases.sampling_of(event), (Sampling{100ms, 2s}));
}

TEST(Leases, TakeASampledEventThatOthersSwitchOffForWhatItIsMostOfTheTime) {
  auto leases = sampled_lease();
  leases.observe(event, true);
  leases.observe(event, false);
  EXPECT_FALSE(leases.at(event).switched_off_by_others);

  leases.set_window(event, true);
  leases.applied(event, true);
  leases.observe(event, false);

  EXPECT_TRUE(leases.at(event).switched_off_by_others);
}

}  // namespace
}  // namespace qemon::daemon
