// Whose switches are whose: what was on before stays on, ours go off, and others may do as they
// like.
#include <signal.h>

#include "tests/integration/fixture.hpp"

namespace qemon::test {
namespace {

class Switches : public OnQemu {};
ON_EACH_QEMU(Switches);

TEST_P(Switches, AreAsTheyWereWhenTheDaemonHasEnded) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Qemu vm(GetParam(), directory / "vm");
    vm.monitor().set_event(complete_event, true);
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    daemon.events_on({"virtio_blk_*"});
    ASSERT_TRUE(vm.monitor().event_enabled(read_event));

    EXPECT_EQ(daemon.stop(signal), ExitStatus{});

    EXPECT_FALSE(vm.monitor().event_enabled(read_event));
    EXPECT_FALSE(vm.monitor().event_enabled(write_event));
    EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
  }
}

TEST_P(Switches, OfEventsThatWereOnBeforeAreNotTouchedByOffEither) {
  Qemu vm(GetParam(), directory / "vm");
  vm.monitor().set_event(complete_event, true);
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  EXPECT_EQ(enabled_metric(daemon, "vm", complete_event), 1);

  daemon.events_on({complete_event, read_event});
  daemon.events_off({complete_event, read_event});

  EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
}

TEST_P(Switches, ThatOthersTurnOffAreNoticedAndStayOff) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event, write_event});
  ASSERT_EQ(enabled_metric(daemon, "vm", read_event), 1);

  vm.monitor().set_event(read_event, false);

  EXPECT_TRUE(wait_until([&] { return enabled_metric(daemon, "vm", read_event) == 0; }));
  // Switching another event is an occasion on which a daemon could put back what it wants.
  daemon.events_on({complete_event});
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_TRUE(vm.monitor().event_enabled(write_event));
  // Asked for again, it is on again.
  daemon.events_on({read_event});
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
}

TEST_P(Switches, ThatOthersTurnOnAreNoticedAndStayOn) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  ASSERT_EQ(enabled_metric(daemon, "vm", complete_event), -1);

  vm.monitor().set_event(complete_event, true);

  EXPECT_TRUE(wait_until([&] { return enabled_metric(daemon, "vm", complete_event) == 1; }));
  daemon.events_on({read_event});
  daemon.events_off({read_event});
  EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
}

TEST_P(Switches, TurnedOffAndOnAgainByOthersAreTheirsFromThenOn) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});
  vm.monitor().set_event(read_event, false);
  ASSERT_TRUE(wait_until([&] { return enabled_metric(daemon, "vm", read_event) == 0; }));

  vm.monitor().set_event(read_event, true);

  EXPECT_TRUE(wait_until([&] { return enabled_metric(daemon, "vm", read_event) == 1; }));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));
}

TEST_P(Switches, AppearAsMetricsOnlyForEventsThatAreOrWereOn) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  EXPECT_EQ(daemon.scrape().count("qemu_trace_event_enabled"), 0U);

  daemon.events_on({read_event, write_event});
  daemon.events_off({read_event});

  EXPECT_EQ(enabled_metric(daemon, "vm", read_event), 0);
  EXPECT_EQ(enabled_metric(daemon, "vm", write_event), 1);
  EXPECT_EQ(daemon.scrape().count("qemu_trace_event_enabled"), 2U);
}

}  // namespace
}  // namespace qemon::test
