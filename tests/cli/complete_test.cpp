// What `qemon complete WORD...` offers to the shells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/fake_daemon.hpp"

namespace qemon::cli {
namespace {

using test::FakeDaemon;
using test::run_qemon;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string offered(std::vector<std::string> words) {
  words.insert(words.begin(), "complete");
  const auto outcome = run_qemon(std::move(words));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  return outcome.out;
}

/// With a daemon to ask.
std::string offered(const FakeDaemon& daemon, std::vector<std::string> words) {
  words.insert(words.begin(), {"--socket", daemon.path()});
  return offered(std::move(words));
}

TEST(Complete, OffersTheCommandsThatBeginAsTyped) {
  EXPECT_EQ(offered({"ev"}), "event\tList trace events, switch them on and off\n");
  EXPECT_THAT(offered({""}), HasSubstr("status\t"));
  EXPECT_THAT(offered({"vm", "rel"}), StartsWith("release\t"));
  EXPECT_EQ(offered({"nonsense", "x"}), "");
}

TEST(Complete, OffersTheOptionsOfTheCommandAndThoseOfAll) {
  const auto options = offered({"event", "on", "--"});

  EXPECT_THAT(options, HasSubstr("--vm\tOnly on this VM (otherwise on all)\n"));
  EXPECT_THAT(options, HasSubstr("--output\t"));
  EXPECT_THAT(options, Not(HasSubstr("--enabled")));
}

TEST(Complete, OffersNoOptionASecondTimeUnlessItMayBeRepeated) {
  EXPECT_EQ(offered({"event", "on", "--vm", "web1", "--vm"}), "");
  EXPECT_THAT(offered({"replay", "--pack", "block", "--pa"}), StartsWith("--pack\t"));
}

TEST(Complete, OffersTheValuesThatTheParserKnows) {
  EXPECT_EQ(offered({"--output", ""}), "table\njson\n");
  EXPECT_EQ(offered({"status", "-o", "j"}), "json\n");
  EXPECT_EQ(offered({"status", "--output=t"}), "--output=table\n");
  EXPECT_EQ(offered({"replay", "--output", "p"}), "prometheus\n");
}

TEST(Complete, SaysWhereFilesAndFoldersWillDo) {
  EXPECT_EQ(offered({"replay", ""}), "\tfiles\n");
  EXPECT_EQ(offered({"--socket", "/x"}), "\tfiles\n");
  EXPECT_EQ(offered({"restore", "--runtime-dir", ""}), "\tdirectories\n");
  EXPECT_EQ(offered({"status", "--", "--v"}), "");
}

TEST(Complete, OffersVms) {
  FakeDaemon daemon;
  daemon.answer(
      "GET /v1/vms", 200,
      R"({"vms": [{"name": "web1", "state": "attached"}, {"name": "arm", "state": ""}]})");

  EXPECT_EQ(offered(daemon, {"event", "on", "--vm", ""}), "web1\tattached\narm\n");
  EXPECT_EQ(offered(daemon, {"event", "on", "--vm=w"}), "--vm=web1\tattached\n");
  EXPECT_EQ(offered(daemon, {"vm", "release", "a"}), "arm\n");
  EXPECT_EQ(offered(daemon, {"plugin", "show", "a"}), "arm\n");
  EXPECT_EQ(offered(daemon, {"heatmap", "w"}), "web1\tattached\n\tfiles\n");
  EXPECT_EQ(offered(daemon, {"vm", "attach", ""}), "");
  EXPECT_EQ(offered(daemon, {"vm", "detach", "arm", ""}), "");
}

TEST(Complete, AsksOneVmOfEachKindForEvents) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms", 200,
                R"({"vms": [{"name": "a", "qemu_version": "7.2"}, {"name": "b", "qemu_version":
                "7.2"}, {"name": "c", "qemu_version": "10.0"}]})");
  daemon.answer("GET /v1/events?pattern=ap%2A&vm=a", 200,
                R"({"vms": [{"vm": "a", "events": [{"name": "apic_old"}, {"name": "apic_both"},
                {"name": "apic_no", "state": "unavailable"}]}]})");
  daemon.answer(
      "GET /v1/events?pattern=ap%2A&vm=c", 200,
      R"({"vms": [{"vm": "c", "events": [{"name": "apic_both"}, {"name": "apic_new"}]}]})");

  EXPECT_EQ(offered(daemon, {"event", "on", "ap"}), "apic_both\napic_new\napic_old\n");
  EXPECT_EQ(offered(daemon, {"event", "on", "apic_old", "ap", "--vm", "c", "ap"}),
            "apic_both\napic_new\n");
  EXPECT_EQ(offered(daemon, {"event", "on", "ap*"}), "");
}

TEST(Complete, OffersToSwitchOffWhatIsOn) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/events?pattern=%2A&vm=a&enabled=1", 200,
                R"({"vms": [{"events": [{"name": "mine", "held": true}, {"name": "theirs"}]}]})");
  daemon.answer("GET /v1/packs?vm=a", 200,
                R"({"packs": [{"name": "block", "help": "Disks.", "vms": [{"on": true}]},
                {"name": "irq", "help": "Interrupts.", "vms": [{"on": false}]}]})");

  EXPECT_EQ(offered(daemon, {"event", "off", "--vm", "a", ""}), "mine\n");
  EXPECT_EQ(offered(daemon, {"pack", "off", "--vm=a", ""}), "block\tDisks.\n");
  EXPECT_EQ(offered(daemon, {"pack", "on", "--vm=a", ""}), "block\tDisks.\nirq\tInterrupts.\n");
}

TEST(Complete, OffersLeasesAndSaysWhatTheyAre) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/leases", 200,
                R"({"leases": [{"id": 7, "vm": "web1", "what": "pack irq", "until": null}]})");

  EXPECT_EQ(offered(daemon, {"lease", "extend", ""}), "7\tweb1: pack irq, until forever\n");
}

TEST(Complete, OffersExperimentsAndToStopThoseThatRun) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/experiments", 200,
                R"({"experiments": [{"name": "cold", "state": "finished"},
                {"name": "hot", "state": "running"}]})");

  EXPECT_EQ(offered(daemon, {"experiment", "show", ""}), "cold\tfinished\nhot\trunning\n");
  EXPECT_EQ(offered(daemon, {"experiment", "compare", "cold", "h"}), "hot\trunning\n");
  EXPECT_EQ(offered(daemon, {"experiment", "stop", ""}), "hot\trunning\n");
  EXPECT_EQ(offered(daemon, {"experiment", "start", ""}), "");
}

TEST(Complete, LeavesOutWhatWouldBreakALine) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms", 200,
                R"({"vms": [{"name": "a\nb"}, {"name": "c", "state": "\u001b[1m"}]})");

  EXPECT_EQ(offered(daemon, {"vm", "detach", ""}), "c\n");
}

TEST(Complete, SaysNothingWithoutADaemon) {
  for (const char* const option : {"--vm", "--socket"}) {
    const auto outcome =
        run_qemon({"complete", "--socket", "/nowhere/control.sock", "event", "on", option, "x"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.err, "");
  }
  EXPECT_EQ(offered({"--socket", "/nowhere", "pack", "on", ""}), "");
}

TEST(Complete, SaysNothingOfADaemonThatRefuses) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms", 403, R"({"error": "not you"})");

  EXPECT_EQ(offered(daemon, {"vm", "release", ""}), "");
}

}  // namespace
}  // namespace qemon::cli
