#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

#include "cli/lease_text.hpp"
#include "tests/cli/fake_daemon.hpp"

namespace qemon::cli {
namespace {

using test::expect;
using test::FakeDaemon;
using test::run_qemon;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr const char* clock = "([0-9-]+ )?[0-9][0-9]:[0-9][0-9]:[0-9][0-9]";

std::string in_an_hour() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count() + 3600);
}

TEST(LeaseList, ShowsWhoWantsWhatUntilWhen) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/leases?vm=web1", 200,
                R"({"leases":[
    {"id":7,"vm":"web1","what":"virtio_blk_*","events":["a","b"],"user":"alice","uid":1000,
     "since":1000000000.5,"until":)" +
                    in_an_hour() + R"(,"remaining_seconds":3599.6},
    {"id":12,"vm":"web1","what":"pack irq","events":[],"user":"configuration","uid":null,
     "since":1000000000,"until":null,"remaining_seconds":null}]})");

  const auto outcome = run_qemon({"lease", "list", "--vm", "web1"}, daemon.path());

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(StartsWith("ID  VM    WHAT          EVENTS  WHO            SINCE"),
                    HasSubstr(" 7  web1  virtio_blk_*       2  alice (1000)   2001-09-09 "),
                    HasSubstr("(1h 0m)\n"),
                    HasSubstr("12  web1  pack irq           0  configuration  2001-09-09 "),
                    HasSubstr("forever\n")));
}

TEST(LeaseExtend, AsksForSecondsForeverOrTheDefault) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/leases/7", 200,
                R"({"id":7,"vm":"web1","what":"x_*","until":null,"remaining_seconds":null})");

  expect(run_qemon({"lease", "extend", "7", "--for", "forever"}, daemon.path()), 0,
         "web1: lease 7 (x_*) runs forever\n", "");
  EXPECT_EQ(run_qemon({"lease", "extend", "7", "--for", "10m"}, daemon.path()).status, 0);
  EXPECT_EQ(run_qemon({"lease", "extend", "7", "--for", "500ms"}, daemon.path()).status, 0);
  EXPECT_EQ(run_qemon({"lease", "extend", "7"}, daemon.path()).status, 0);

  EXPECT_THAT(daemon.requests(),
              ElementsAre(R"(POST /v1/leases/7 {"action":"extend","seconds":null})",
                          R"(POST /v1/leases/7 {"action":"extend","seconds":600})",
                          R"(POST /v1/leases/7 {"action":"extend","seconds":0.5})",
                          R"(POST /v1/leases/7 {"action":"extend"})"));
}

TEST(LeaseExtend, SaysUntilWhen) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/leases/7", 200,
                R"({"id":7,"vm":"w","what":"x","until":)" + in_an_hour() + "}");

  EXPECT_THAT(run_qemon({"lease", "extend", "7", "--for", "1h"}, daemon.path()).out,
              MatchesRegex("w: lease 7 \\(x\\) runs until " + std::string(clock) + "\n"));
}

TEST(LeaseEnd, SaysWhatWentOff) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/leases/7", 200,
                R"({"vm":"w","changed":["a","b"],"ended":[7],"error":""})");
  daemon.answer(
      "POST /v1/leases/8", 200,
      R"({"vm":"w","changed":[],"ended":[8],"error":"is busy: its events go off later"})");

  expect(run_qemon({"lease", "end", "7"}, daemon.path()), 0,
         "w: lease 7 ended: 2 events off (a, b)\n", "");
  expect(run_qemon({"lease", "end", "8"}, daemon.path()), 1, "w: lease 8 ended\n",
         "qemon: w: is busy: its events go off later\n");
  EXPECT_EQ(daemon.requests()[0], R"(POST /v1/leases/7 {"action":"end"})");
}

TEST(LeaseEnd, ShowsTheRefusal) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/leases/x%2F", 404, R"({"error":"there is no lease x/"})");

  expect(run_qemon({"lease", "end", "x/"}, daemon.path()), 1, "", "qemon: there is no lease x/\n");
}

TEST(EventOn, AsksForALengthAndSaysWhichItGot) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200,
                R"({"vms":[{"vm":"w","changed":["a","b"],"lease":{"id":7,"until":)" + in_an_hour() +
                    R"(}},{"vm":"v","already":["a"],"lease":{"id":8,"until":null}}]})");

  const auto outcome = run_qemon({"event", "on", "a", "--for", "1h"}, daemon.path());

  EXPECT_THAT(outcome.out, MatchesRegex("w: 2 events on until " + std::string(clock) +
                                        " \\(lease 7\\): a, b\n"
                                        "v: 1 already on forever \\(lease 8\\)\n"));
  EXPECT_THAT(
      daemon.requests(),
      ElementsAre(R"(POST /v1/events {"action":"on","patterns":["a"],"for_seconds":3600})"));
}

TEST(PackOn, AsksForALengthAndSaysWhichItGot) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/packs", 200,
                R"({"vms":[{"vm":"w","packs":[{"name":"irq","changed":true,"metrics":2,
                "not_offered":[],"lease":{"id":7,"until":null}}]}]})");

  expect(run_qemon({"pack", "on", "irq", "--for", "forever"}, daemon.path()), 0,
         "w: pack irq on forever (lease 7)\n", "");
  EXPECT_THAT(daemon.requests(),
              ElementsAre(R"(POST /v1/packs {"action":"on","packs":["irq"],"for_seconds":null})"));
}

TEST(For, IsADurationOrForever) {
  const auto outcome = run_qemon({"event", "on", "a", "--for", "soon"}, "/nowhere");

  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("'soon' is not a duration"), HasSubstr("or forever")));
}

TEST(ClockText, LeavesTheDayOutIfItIsToday) {
  constexpr double noon = 1'000'000'000;

  EXPECT_THAT(clock_text(noon, noon + 1), MatchesRegex("[0-9][0-9]:46:40"));
  EXPECT_THAT(clock_text(noon, noon + 3 * 86400), MatchesRegex("2001-09-0[89] [0-9][0-9]:46:40"));
}

}  // namespace
}  // namespace qemon::cli
