#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(MarkCommand, SaysWhenTheMarkWasMade) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/marks", 200,
                R"({"id":7,"time":1000000000.5,"vm":"web1","text":"cache dropped","tags":["lab"],
                    "user":"alice","uid":1000})");

  const auto outcome = run_qemon(
      {"mark", "cache dropped", "--vm", "web1", "--tag", "lab", "--tag", "run 7"}, daemon.path());

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, MatchesRegex("web1: mark 7 made at 2001-09-09 [0-9:]+\n"));
  EXPECT_THAT(
      daemon.requests(),
      ElementsAre(R"(POST /v1/marks {"text":"cache dropped","vm":"web1","tags":["lab","run 7"]})"));
}

TEST(MarkCommand, NeedsNoVm) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/marks", 200, R"({"id":8,"time":1000000000,"vm":null,"text":"x"})");

  const auto outcome = run_qemon({"mark", "x"}, daemon.path());

  EXPECT_THAT(outcome.out, StartsWith("mark 8 made at "));
  EXPECT_THAT(daemon.requests(), ElementsAre(R"(POST /v1/marks {"text":"x"})"));
}

TEST(MarkCommand, ListsMarks) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/marks?vm=web1", 200, R"({"marks":[
    {"id":7,"time":1000000000.5,"vm":"web1","text":"cache \u001b[31m dropped","tags":["lab","x"],
     "user":"alice","uid":1000},
    {"id":12,"time":1000000001,"vm":null,"text":"later","tags":[],"user":"bob","uid":1001}]})");

  const auto outcome = run_qemon({"mark", "--list", "--vm", "web1"}, daemon.path());

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(StartsWith("ID  TIME"), HasSubstr("  web1  alice  lab, x  cache "),
                                 HasSubstr("  -     bob    -       later\n")));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("\x1b")));
}

TEST(MarkCommand, TellsWhatQemondSaysAgainstIt) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/marks", 404, R"({"error":"there is no VM web9: qemond watches web1"})");

  expect(run_qemon({"mark", "x", "--vm", "web9"}, daemon.path()), 1, "",
         "qemon: there is no VM web9: qemond watches web1\n");
}

TEST(MarkCommand, RefusesWhatMakesNoSense) {
  FakeDaemon daemon;

  expect(run_qemon({"mark"}, daemon.path()), 2, "",
         "qemon: what is to be marked? write qemon mark TEXT, or qemon mark --list\n");
  expect(run_qemon({"mark", ""}, daemon.path()), 2, "",
         "qemon: what is to be marked? write qemon mark TEXT, or qemon mark --list\n");
  expect(run_qemon({"mark", "x", "--list"}, daemon.path()), 2, "",
         "qemon: --list takes no TEXT and no --tag: see 'qemon mark --help'\n");
  EXPECT_EQ(run_qemon({"mark", "x", "--vm", ""}, daemon.path()).status, 2);
  EXPECT_THAT(daemon.requests(), testing::IsEmpty());
}

}  // namespace
}  // namespace qemon::cli
