#include "daemon/leases.hpp"

#include <gtest/gtest.h>

namespace qemon::daemon {
namespace {

constexpr trace::EventIndex event = 3;

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
  Leases leases;
  leases.found(event, false, false);
  leases.take(event, "alice");
  leases.take(event, "bob");
  EXPECT_EQ(changes_of(leases), "+3");
  leases.applied(event, true);

  EXPECT_TRUE(leases.give_back(event, "alice"));

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_TRUE(leases.give_back(event, "bob"));
  EXPECT_EQ(changes_of(leases), "-3");
  leases.applied(event, false);
  EXPECT_EQ(changes_of(leases), "");
}

TEST(Leases, NeverSwitchesOffWhatWasOnBefore) {
  Leases leases;
  leases.found(event, true, false);

  leases.take(event, "alice");
  EXPECT_EQ(changes_of(leases), "");
  leases.give_back(event, "alice");

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_TRUE(leases.at(event).found_on);
}

TEST(Leases, TakingTwiceNeedsGivingBackOnce) {
  Leases leases;
  leases.take(event, "alice");
  leases.take(event, "alice");
  leases.applied(event, true);

  EXPECT_TRUE(leases.give_back(event, "alice"));

  EXPECT_EQ(changes_of(leases), "-3");
  EXPECT_FALSE(leases.give_back(event, "alice"));
}

TEST(Leases, RespectsThatSomebodyElseSwitchedAHeldEventOffUntilItIsAskedForAgain) {
  Leases leases;
  leases.take(event, "alice");
  leases.applied(event, true);

  EXPECT_TRUE(leases.observe(event, false));

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_TRUE(leases.at(event).switched_off_by_others);
  EXPECT_FALSE(leases.any_wanted());
  leases.take(event, "alice");
  EXPECT_EQ(changes_of(leases), "+3");
}

TEST(Leases, LeavesOnWhatSomebodyElseSwitchedOnMeanwhile) {
  Leases leases;
  leases.found(event, false, false);

  EXPECT_TRUE(leases.observe(event, true));
  leases.take(event, "alice");
  leases.give_back(event, "alice");

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_TRUE(leases.at(event).on);
}

TEST(Leases, LeavesOnWhatSomebodyElseSwitchedOnAfterSwitchingItOff) {
  Leases leases;
  leases.take(event, "alice");
  leases.applied(event, true);
  leases.observe(event, false);
  leases.observe(event, true);

  leases.give_back(event, "alice");

  EXPECT_EQ(changes_of(leases), "");
}

TEST(Leases, SeeingWhatIsBelievedIsNoForeignChange) {
  Leases leases;
  leases.take(event, "alice");
  leases.applied(event, true);

  EXPECT_FALSE(leases.observe(event, true));

  EXPECT_TRUE(leases.at(event).ours);
}

TEST(Leases, HoldersOutliveTheProcess) {
  Leases leases;
  leases.take(event, "alice");
  leases.applied(event, true);

  leases.forget_process();
  leases.found(event, false, false);

  EXPECT_EQ(changes_of(leases), "+3");
  EXPECT_EQ(leases.count_on(), 0U);
}

TEST(Leases, AskNothingOfAnUnavailableEvent) {
  Leases leases;
  leases.found(event, false, true);

  leases.take(event, "alice");

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_FALSE(leases.any_wanted());
}

TEST(Leases, DoNotAskAgainForWhatWasRefused) {
  Leases leases;
  leases.take(event, "alice");

  leases.refused(event);

  EXPECT_EQ(changes_of(leases), "");
  EXPECT_EQ(leases.count_held(), 0U);
}

TEST(Leases, GivingEverythingBackSwitchesOffOnlyWhatIsOurs) {
  Leases leases;
  leases.found(1, true, false);
  leases.take(1, "alice");
  leases.take(2, "alice");
  leases.applied(2, true);

  leases.give_back_all();

  EXPECT_EQ(changes_of(leases), "-2");
  EXPECT_EQ(leases.ours(), std::vector<trace::EventIndex>{2});
}

TEST(Leases, RememberThatAnEventWasOn) {
  Leases leases;
  leases.found(event, false, false);
  EXPECT_FALSE(leases.at(event).ever_on);

  leases.observe(event, true);
  leases.observe(event, false);

  EXPECT_TRUE(leases.at(event).ever_on);
  EXPECT_FALSE(leases.at(1000).ever_on);
}

}  // namespace
}  // namespace qemon::daemon
