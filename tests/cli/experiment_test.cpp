#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/fake_daemon.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::cli {
namespace {

using nlohmann::json;
using test::expect;
using test::FakeDaemon;
using test::Outcome;
using test::run_qemon;
using test::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* cold = R"({"name":"cold","state":"finished","labels":{"cache":"cold"},
  "packs":["block"],"command":["./build.sh","-j"],"by":"alice","started":1000,
  "length_seconds":20,"ended_by":"alice","complete":true,"vms":[{"vm":"web1",
  "qemu_version":"7.2.22","arch":"x86_64","accelerator":"tcg","length_seconds":20,"complete":true,
  "completeness":{"ratio":1,"dropped_events":0},"notes":[],"guest_instructions":2000000,
  "seconds":[0,10,20],
  "counters":[
    {"name":"a_bytes_total","labels":{"op":"read"},"delta":3000,"per_second":150,"resets":0,
     "curve":[0,1000,3000]},
    {"name":"idle_total","labels":{},"delta":0,"per_second":0,"resets":0},
    {"name":"only_cold_total","labels":{},"delta":7,"per_second":0.35,"resets":0},
    {"name":"qemond_x_total","labels":{"metric":"a_bytes_total"},"delta":5,"per_second":0.25,
     "resets":0},
    {"name":"qemu_guest_instructions_total","labels":{},"delta":2000000,"per_second":100000,
     "resets":0,"curve":[0,1000000,2000000]}],
  "histograms":[{"name":"a_seconds","labels":{},"count":4,"per_second":0.2,"sum":0.4,"mean":0.1,
    "p50":0.05,"p90":0.2,"p99":"+Inf","resets":0,"buckets":[]}]}]})";
constexpr const char* hot = R"({"name":"hot","state":"finished","labels":{"cache":"hot"},
  "packs":["block"],"command":[],"by":"alice","started":2000,
  "length_seconds":10,"ended_by":"alice","complete":false,"vms":[{"vm":"web1",
  "qemu_version":"7.2.22","arch":"x86_64","accelerator":"tcg","length_seconds":10,"complete":false,
  "completeness":{"ratio":0.5,"dropped_events":3},"notes":["records of its trace were lost"],
  "guest_instructions":1000000,"seconds":[0,5,10],
  "counters":[
    {"name":"a_bytes_total","labels":{"op":"read"},"delta":1000,"per_second":100,"resets":0,
     "curve":[0,600,1000]},
    {"name":"idle_total","labels":{},"delta":0,"per_second":0,"resets":0},
    {"name":"qemu_guest_instructions_total","labels":{},"delta":1000000,"per_second":100000,
     "resets":0,"curve":[0,400000,1000000]}],
  "histograms":[{"name":"a_seconds","labels":{},"count":8,"per_second":0.8,"sum":0.4,"mean":0.05,
    "p50":0.04,"p90":0.08,"p99":0.09,"resets":0,"buckets":[]}]}]})";

class ExperimentCompare : public testing::Test {
 protected:
  ExperimentCompare() {
    daemon.answer("GET /v1/experiments/cold", 200, cold);
    daemon.answer("GET /v1/experiments/hot", 200, hot);
  }
  Outcome compare(std::vector<std::string> more) {
    more.insert(more.begin(), {"experiment", "compare", "cold", "hot"});
    return run_qemon(std::move(more), daemon.path());
  }

  FakeDaemon daemon;
};

TEST_F(ExperimentCompare, ShowsTotalsRatesAndDistributionsWithRatios) {
  expect(compare({}), 0,
         "RUN   STATE     LENGTH  TO FIRST  INSTRUCTIONS  COMPLETE  LABELS\n"
         "cold  finished    20 s         1       2000000  yes       cache=cold\n"
         "hot   finished    10 s       0.5       1000000  no        cache=hot\n"
         "\n"
         "IN ALL                            cold      hot  hot/cold\n"
         "a_bytes_total{op=\"read\"}          3000     1000    0.3333\n"
         "a_seconds (count)                    4        8         2\n"
         "only_cold_total                      7        -         -\n"
         "qemu_guest_instructions_total  2000000  1000000       0.5\n"
         "\n"
         "PER SECOND                       cold     hot  hot/cold\n"
         "a_bytes_total{op=\"read\"}        150.0   100.0    0.6667\n"
         "a_seconds (count)                0.20    0.80         4\n"
         "only_cold_total                  0.35       -         -\n"
         "qemu_guest_instructions_total  100000  100000         1\n"
         "\n"
         "PER MILLION GUEST INSTRUCTIONS     cold      hot  hot/cold\n"
         "a_bytes_total{op=\"read\"}           1500     1000    0.6667\n"
         "a_seconds (count)                     2        8         4\n"
         "only_cold_total                     3.5        -         -\n"
         "qemu_guest_instructions_total   1000000  1000000         1\n"
         "\n"
         "DISTRIBUTION  RUN   COUNT    MEAN    P50     P90         P99  MEAN TO FIRST\n"
         "a_seconds     cold      4  100 ms  50 ms  200 ms  beyond all              1\n"
         "              hot       8   50 ms  40 ms   80 ms       90 ms            0.5\n",
         "qemon: hot: web1: records of its trace were lost\n");
}

TEST_F(ExperimentCompare, ChoosesMetrics) {
  const auto some = compare({"--metric", "*_bytes_*", "--metric", "qemond_*"});

  EXPECT_THAT(some.out, HasSubstr("a_bytes_total"));
  EXPECT_THAT(some.out, HasSubstr("qemond_x_total"));
  EXPECT_THAT(some.out, Not(HasSubstr("only_cold_total")));
  EXPECT_THAT(compare({"--metric", "*_bytes_total*"}).out, Not(HasSubstr("qemond_x_total")));
  EXPECT_THAT(compare({"--metric", "none"}).out, HasSubstr("\nno counter moved\n"));
}

TEST_F(ExperimentCompare, WritesJson) {
  const auto answer = json::parse(compare({"--output", "json", "--metric", "a_bytes_total"}).out);

  EXPECT_EQ(answer.at("rows"), json::parse(R"([{"metric":"a_bytes_total","labels":{"op":"read"},
    "runs":[{"delta":3000,"per_second":150,"per_million_instructions":1500,"ratio":1,
             "ratio_per_second":1,"ratio_per_million_instructions":1},
            {"delta":1000,"per_second":100,"per_million_instructions":1000,
             "ratio":0.333333333333,"ratio_per_second":0.666666666667,
             "ratio_per_million_instructions":0.666666666667}]}])"));
  EXPECT_EQ(answer.at("experiments").at(1).at("name"), "hot");
  EXPECT_FALSE(answer.at("experiments").at(1).at("vms").at(0).contains("counters"));
}

TEST_F(ExperimentCompare, WritesCsv) {
  expect(compare({"--output", "csv", "--metric", "a_*"}), 0,
         "metric,labels,figure,cold,hot,hot/cold\n"
         "a_bytes_total,\"op=\"\"read\"\"\",delta,3000,1000,0.333333333333\n"
         "a_bytes_total,\"op=\"\"read\"\"\",per_second,150,100,0.666666666667\n"
         "a_bytes_total,\"op=\"\"read\"\"\",per_million_instructions,1500,1000,0.666666666667\n"
         "a_seconds,,count,4,8,2\n"
         "a_seconds,,per_second,0.2,0.8,4\n"
         "a_seconds,,per_million_instructions,2,8,4\n"
         "a_seconds,,mean,0.1,0.05,0.5\n"
         "a_seconds,,p50,0.05,0.04,0.8\n"
         "a_seconds,,p90,0.2,0.08,0.4\n"
         "a_seconds,,p99,+Inf,0.09,\n",
         "qemon: hot: web1: records of its trace were lost\n");
}

TEST_F(ExperimentCompare, DrawsCurves) {
  const TempDir directory;
  const auto plot = directory / "plot.svg";

  const auto drawn = compare({"--plot", plot, "--metric", "a_bytes_total"});

  EXPECT_EQ(drawn.status, 0);
  EXPECT_THAT(drawn.err, HasSubstr("qemon: 1 chart in " + plot));
  const auto svg = test::read_file(plot);
  EXPECT_THAT(svg, HasSubstr(">a_bytes_total{op=&quot;read&quot;}</text>"));
  EXPECT_THAT(svg, HasSubstr(">bytes since the start</text>"));
  EXPECT_THAT(svg, HasSubstr(">seconds since the start</text>"));
  EXPECT_THAT(svg, HasSubstr(">cold</text>"));
  EXPECT_THAT(svg, HasSubstr(">hot</text>"));
}

TEST_F(ExperimentCompare, DrawsOverInstructions) {
  const TempDir directory;
  const auto plot = directory / "plot.svg";

  EXPECT_EQ(compare({"--plot", plot, "--x", "instructions", "--metric", "a_bytes_total"}).status,
            0);

  EXPECT_THAT(test::read_file(plot), HasSubstr(">guest instructions since the start</text>"));
  EXPECT_EQ(compare({"--plot", "/nowhere/plot.svg"}).status, 1);
}

TEST_F(ExperimentCompare, FailsForOneThatThereIsNot) {
  daemon.answer("GET /v1/experiments/x", 404, R"({"error":"there is no experiment x"})");

  expect(run_qemon({"experiment", "compare", "cold", "x"}, daemon.path()), 1, "",
         "qemon: there is no experiment x\n");
  EXPECT_EQ(run_qemon({"experiment", "compare", "cold"}, daemon.path()).status, 2);
}

TEST_F(ExperimentCompare, AloneWritesCsv) {
  EXPECT_EQ(run_qemon({"experiment", "list", "--output", "csv"}, daemon.path()).status, 2);
}

TEST_F(ExperimentCompare, ShowsOneRunWithWhatIsMissing) {
  const auto shown = run_qemon({"experiment", "show", "hot"}, daemon.path());

  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.out, HasSubstr("web1: QEMU 7.2.22, x86_64, tcg, 1000000 guest instructions\n"
                                   "  trace complete 50% of the time, 3 events dropped by QEMU\n"
                                   "  ! records of its trace were lost\n"));
  EXPECT_THAT(shown.out, HasSubstr("IN ALL                             hot\n"
                                   "a_bytes_total{op=\"read\"}          1000\n"));
  EXPECT_THAT(run_qemon({"experiment", "show", "cold"}, daemon.path()).out,
              HasSubstr("  command  ./build.sh -j\n"));
}

constexpr const char* running =
    R"({"name":"a","state":"running","vms":["web1"],"packs":["irq"],"remaining_seconds":60})";

TEST(ExperimentStart, AsksForAllOfIt) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/experiments", 200, running);

  expect(run_qemon({"experiment", "start", "a", "--vm", "web1", "--pack", "irq", "--pack", "block",
                    "--label", "tick=off", "--label", "note=a=b", "--for", "1m", "--replace"},
                   daemon.path()),
         0, "a: running on web1, 1 pack (irq), for 1m 0s or until 'qemon experiment stop'\n", "");
  EXPECT_THAT(
      daemon.requests(),
      ElementsAre(
          R"(POST /v1/experiments {"action":"start","name":"a","vm":"web1","packs":["irq","block"],)"
          R"("labels":{"tick":"off","note":"a=b"},"replace":true,"for_seconds":60})"));
}

TEST(ExperimentStart, RunsACommandAndHasItsExitStatus) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/experiments", 200, running);
  daemon.answer("POST /v1/experiments/a", 200,
                R"({"name":"a","state":"finished","length_seconds":2,"complete":true})");

  expect(run_qemon({"experiment", "start", "a", "--", "sh", "-c", "exit 7"}, daemon.path()), 7, "",
         "qemon: a: running on web1, 1 pack (irq)\nqemon: a: finished after 2.0 s\n");
  EXPECT_THAT(
      daemon.requests(),
      ElementsAre(R"(POST /v1/experiments {"action":"start","name":"a","packs":[],"labels":{},)"
                  R"("command":["sh","-c","exit 7"],"for_seconds":15,"attended":true})",
                  R"(POST /v1/experiments/a {"action":"stop"})"));
}

TEST(ExperimentStart, TellsHowASignalEndedTheCommand) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/experiments", 200, running);

  const auto outcome =
      run_qemon({"experiment", "start", "a", "--", "sh", "-c", "kill -KILL $$"}, daemon.path());

  EXPECT_EQ(outcome.status, 128 + 9);
  EXPECT_THAT(outcome.err, HasSubstr("qemon: the experiment has no end: "));
}

TEST(ExperimentStart, DoesNotRunTheCommandIfItIsRefused) {
  const TempDir directory;
  FakeDaemon daemon;
  daemon.answer("POST /v1/experiments", 409, R"({"error":"experiment a runs already"})");

  expect(
      run_qemon({"experiment", "start", "a", "--", "touch", directory / "witness"}, daemon.path()),
      1, "", "qemon: experiment a runs already\n");
  EXPECT_FALSE(std::filesystem::exists(directory / "witness"));
}

TEST(ExperimentStart, GivesUpForACommandThatCannotBeRun) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/experiments", 200, running);
  daemon.answer("POST /v1/experiments/a", 200, "{}");

  const auto outcome = run_qemon({"experiment", "start", "a", "--", "/nowhere/x"}, daemon.path());

  EXPECT_EQ(outcome.status, 127);
  EXPECT_THAT(outcome.err, HasSubstr("/nowhere/x: No such file or directory: the experiment is "
                                     "given up"));
  EXPECT_EQ(daemon.requests().back(), R"(POST /v1/experiments/a {"action":"delete"})");
}

TEST(ExperimentStart, RefusesWhatMakesNoSense) {
  EXPECT_EQ(run_qemon({"experiment", "start"}, "/nowhere").status, 2);
  EXPECT_EQ(run_qemon({"experiment", "start", "a", "--label", "x"}, "/nowhere").status, 2);
  EXPECT_EQ(run_qemon({"experiment", "start", "a", "--for", "1m", "--", "true"}, "/nowhere").status,
            2);
}

TEST(ExperimentList, ShowsRuns) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/experiments", 200, R"({"experiments":[
    {"name":"a\u001b","state":"finished","length_seconds":90,"complete":true,"vms":["x","y"],
     "packs":["irq"],"labels":{"tick":"off"},"by":"alice"}]})");

  expect(run_qemon({"experiment", "list"}, daemon.path()), 0,
         "NAME   STATE     STARTED  LENGTH  COMPLETE  VMS  PACKS  LABELS    BY\n"
         "a\\x1b  finished  -        1m 30s  yes       x y  irq    tick=off  alice\n",
         "");
}

TEST(ExperimentStop, SaysWhatIsMissing) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/experiments/a", 200,
                R"({"name":"a","state":"finished","length_seconds":2,"complete":false})");

  expect(run_qemon({"experiment", "stop", "a"}, daemon.path()), 0, "a: finished after 2.0 s\n",
         "qemon: a: not complete: see 'qemon experiment show a'\n");
}

}  // namespace
}  // namespace qemon::cli
