#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/fake_daemon.hpp"

namespace qemon::cli {
namespace {

using test::expect;
using test::FakeDaemon;
using test::run_qemon;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(EventList, ShowsStateAndRecords) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/events?pattern=virtio_blk_%2A&vm=web1&enabled=1", 200,
                R"({"vms":[{"vm":"web1","events":[
{"name":"virtio_blk_handle_read","state":"enabled","held":true,"found_on":false,
  "switched_off_by_others":false,"records":12345},
{"name":"x","state":"disabled","held":false,"found_on":true,"switched_off_by_others":true,
  "records":0}],"error":""}]})");

  const auto outcome =
      run_qemon({"event", "list", "virtio_blk_*", "--vm", "web1", "--enabled"}, daemon.path());

  expect(outcome, 0,
         "VM    EVENT                   STATE     HELD  RECORDS  NOTE\n"
         "web1  virtio_blk_handle_read  enabled   yes     12345\n"
         "web1  x                       disabled  no          0  was on before qemond attached, "
         "switched off by others\n",
         "");
}

TEST(EventList, ShowsWhatWasTooMuch) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/events", 200,
                R"({"vms":[{"vm":"web1","events":[{"name":"exec_tb","state":"disabled","held":true,
  "tripped":"9,000 records/s","records":12345}],"error":""}]})");

  expect(run_qemon({"event", "list"}, daemon.path()), 0,
         "VM    EVENT    STATE     HELD  RECORDS  NOTE\n"
         "web1  exec_tb  disabled  yes     12345  off until asked for again: 9,000 records/s\n",
         "");
}

TEST(EventList, AsksForEverythingWithoutArguments) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/events", 200, R"({"vms":[]})");

  expect(run_qemon({"event", "list"}, daemon.path()), 0, "VM  EVENT  STATE  HELD  RECORDS  NOTE\n",
         "");
  EXPECT_THAT(daemon.requests(), ElementsAre("GET /v1/events"));
}

TEST(EventList, FailsForAPatternThatMatchesNothing) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/events?pattern=foo_%2A", 200,
                R"({"vms":[{"vm":"web1","events":[],"error":""}]})");
  daemon.answer("GET /v1/events?pattern=foo_%2A&enabled=1", 200,
                R"({"vms":[{"vm":"web1","events":[],"error":""}]})");

  expect(run_qemon({"event", "list", "foo_*"}, daemon.path()), 1,
         "VM  EVENT  STATE  HELD  RECORDS  NOTE\n",
         "qemon: no event matches 'foo_*': see 'qemon event list'\n");
  expect(run_qemon({"event", "list", "foo_*", "--enabled"}, daemon.path()), 0,
         "VM  EVENT  STATE  HELD  RECORDS  NOTE\n", "");
}

TEST(EventList, ShowsWhatOneVmHasAndWhyAnotherHasNothing) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/events", 200,
                R"({"vms":[{"vm":"a","events":[{"name":"x","state":"disabled"}],"error":""},
    {"vm":"b","events":[],"error":"not attached: Connection refused"}]})");

  expect(run_qemon({"event", "list"}, daemon.path()), 1,
         "VM  EVENT  STATE     HELD  RECORDS  NOTE\n"
         "a   x      disabled  no          0\n",
         "qemon: b: not attached: Connection refused\n");
}

TEST(EventOn, SaysWhatChangedWhere) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200, R"({"vms":[
    {"vm":"web1",
  "changed":["virtio_blk_handle_read","virtio_blk_handle_write","virtio_blk_req_complete"],
  "already":["a"],
     "unavailable":[],"unknown":[],"kept":[],"failed":[],"error":""},
    {"vm":"web2","changed":["a"],"already":[],"unavailable":["qxl_a","qxl_b"],"unknown":[],
  "kept":[],"failed":[],"error":""}]})");

  expect(run_qemon({"event", "on", "virtio_blk_*", "a"}, daemon.path()), 0,
         "web1: 3 events on (virtio_blk_handle_read, virtio_blk_handle_write, "
         "virtio_blk_req_complete)\n"
         "web1: 1 already on\n"
         "web2: 1 event on (a)\n",
         "qemon: web2: unavailable (compiled out of this QEMU): qxl_a, qxl_b\n");
  EXPECT_THAT(daemon.requests(),
              ElementsAre(R"(POST /v1/events {"action":"on","patterns":["virtio_blk_*","a"]})"));
}

TEST(EventOn, NamesOneVmToTheDaemon) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200, R"({"vms":[{"vm":"w","changed":["a"]}]})");

  expect(run_qemon({"event", "on", "a", "--vm", "w"}, daemon.path()), 0, "w: 1 event on (a)\n", "");
  EXPECT_THAT(daemon.requests(),
              ElementsAre(R"(POST /v1/events {"action":"on","patterns":["a"],"vm":"w"})"));
}

TEST(EventOn, ShortensLongLists) {
  FakeDaemon daemon;
  std::string names = R"("e0")";
  for (int i = 1; i < 128; ++i) names += ",\"e" + std::to_string(i) + "\"";
  daemon.answer("POST /v1/events", 200, R"({"vms":[{"vm":"w","changed":[)" + names + "]}]}");

  expect(run_qemon({"event", "on", "e*"}, daemon.path()), 0,
         "w: 128 events on (e0, e1, e2, e3, e4, e5, e6, e7 and 120 more)\n", "");
}

TEST(EventOn, FailsForAPatternThatNoVmKnows) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200,
                R"({"vms":[{"vm":"web1","changed":[],"unknown":["foo_*"]}]})");

  expect(run_qemon({"event", "on", "foo_*"}, daemon.path()), 1, "",
         "qemon: web1: no event matches 'foo_*': see 'qemon event list'\n");
}

TEST(EventOn, OnlyNotesAPatternThatAnotherVmKnows) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200,
                R"({"vms":[{"vm":"a","changed":["x"],"unknown":[]},{"vm":"b","changed":[],
  "unknown":["x"]}]})");

  expect(run_qemon({"event", "on", "x"}, daemon.path()), 0, "a: 1 event on (x)\n",
         "qemon: b: no event matches 'x'\n");
}

TEST(EventOn, FailsIfEverythingIsUnavailable) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200, R"({"vms":[{"vm":"web1","unavailable":["qxl_a"]}]})");

  expect(run_qemon({"event", "on", "qxl_a"}, daemon.path()), 1, "",
         "qemon: web1: unavailable (compiled out of this QEMU): qxl_a\n");
}

TEST(EventOn, FailsForEventsThatCouldNotBeSwitchedAndVmsThatCouldNotBeAsked) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200, R"({"vms":[
    {"vm":"a","changed":["x"],"failed":[{"name":"y","why":"no answer in 5 s"},{"name":"z",
  "why":"no answer in 5 s"}]},
    {"vm":"b","error":"not attached: Connection refused"}]})");

  expect(run_qemon({"event", "on", "*"}, daemon.path()), 1, "a: 1 event on (x)\n",
         "qemon: a: not switched on: no answer in 5 s (y, z)\n"
         "qemon: b: not attached: Connection refused\n");
}

TEST(EventOn, FailsWithoutVms) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200, R"({"vms":[]})");

  expect(run_qemon({"event", "on", "*"}, daemon.path()), 1, "",
         "qemon: qemond watches no VM: start it with --vm NAME=ADDRESS\n");
}

TEST(EventOn, JsonKeepsTheErrorsOnStandardError) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200, R"({"vms":[{"vm":"a","unknown":["x"]}]})");

  expect(run_qemon({"event", "on", "x", "--output", "json"}, daemon.path()), 1,
         "{\n  \"vms\": [\n    {\n      \"vm\": \"a\",\n      \"unknown\": [\n        \"x\"\n      "
         "]\n    }\n  ]\n}\n",
         "qemon: a: no event matches 'x': see 'qemon event list'\n");
}

TEST(EventOff, SaysWhatIsOffAndWhatIsKept) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200, R"({"vms":[{"vm":"web1","changed":["a","b"],"already":["c"],
    "kept":[{"name":"d","why":"was on before qemond attached"},{"name":"e",
  "why":"was on before qemond attached"}]}]})");

  expect(run_qemon({"event", "off", "*"}, daemon.path()), 0,
         "web1: 2 events off (a, b)\n"
         "web1: 1 already off\n"
         "web1: 2 kept, was on before qemond attached (d, e)\n",
         "");
  EXPECT_THAT(daemon.requests(),
              ElementsAre(R"(POST /v1/events {"action":"off","patterns":["*"]})"));
}

TEST(EventOff, ShowsTheRefusal) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 403, R"({"error":"user 1000 may not control VMs"})");

  expect(run_qemon({"event", "off", "*"}, daemon.path()), 1, "",
         "qemon: user 1000 may not control VMs: add yourself to group qemon or use sudo\n");
}

TEST(EventOff, EscapesNamesFromOutside) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200, R"({"vms":[{"vm":"w\u001b[1m","changed":["a\nb"]}]})");

  expect(run_qemon({"event", "off", "*"}, daemon.path()), 0, "w\\x1b[1m: 1 event off (a\\nb)\n",
         "");
}

TEST(EventOn, AsksForSamples) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events", 200, R"({"vms":[{"vm":"w","changed":["a"]}]})");

  EXPECT_EQ(run_qemon({"event", "on", "a", "--sample", "20ms/1s"}, daemon.path()).status, 0);

  EXPECT_THAT(
      daemon.requests(),
      ElementsAre(
          R"(POST /v1/events {"action":"on","patterns":["a"],"sample":{"on_seconds":0.02,"period_seconds":1.0}})"));
}

TEST(EventOn, RefusesWhatIsNoSample) {
  for (const char* text : {"20ms", "1s/20ms", "off"}) {
    const auto outcome = run_qemon({"event", "on", "a", "--sample", text}, "/nowhere");

    EXPECT_EQ(outcome.status, 2) << text;
    EXPECT_THAT(outcome.err, HasSubstr(text)) << text;
  }
}

TEST(EventList, ShowsHowAnEventIsSampled) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/events", 200, R"({"vms":[{"vm":"w","events":[
    {"name":"exec_tb","state":"disabled","held":true,"records":7,
     "sample":{"on_seconds":0.02,"period_seconds":1}}]}]})");

  EXPECT_THAT(run_qemon({"event", "list"}, daemon.path()).out,
              HasSubstr("exec_tb  sampled  yes         7  sampled 20ms/1s\n"));
}

TEST(EventCost, ShowsWhatWasMeasured) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events/cost", 200, R"({"vms":[{"vm":"w","backend":"log","events":[
    {"name":"exec_tb","records_per_second":123456.4,"bytes_per_second":4938256.1,"dropped":3,
     "cpu_cores":0.1821,"cpu_seconds_per_record":1.475e-6,"note":""},
    {"name":"idle","records_per_second":0,"bytes_per_second":0,"dropped":0,"cpu_cores":null,
     "cpu_seconds_per_record":null,"note":""},
    {"name":"busy","records_per_second":2.5,"bytes_per_second":null,"dropped":0,"cpu_cores":null,
     "cpu_seconds_per_record":null,"note":"is on already"}],"unknown":[],"error":""}]})");

  const auto outcome =
      run_qemon({"event", "cost", "exec_tb", "--vm", "w", "--sample", "100ms"}, daemon.path());

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            "VM  EVENT    BACKEND  RECORDS/S  BYTES/S  DROPS                CPU  PER RECORD  NOTE\n"
            "w   exec_tb  log         123456  4938256      3  +18.2 % of a core      1.5 us\n"
            "w   idle     log              0        0      0                  -           -\n"
            "w   busy     log            2.5        -      0                  -           -  is on "
            "already\n");
  EXPECT_THAT(
      daemon.requests(),
      ElementsAre(R"(POST /v1/events/cost {"patterns":["exec_tb"],"seconds":0.1,"vm":"w"})"));
}

TEST(EventCost, ComparesAnEventWithTheBackendsOfSeveralVms) {
  FakeDaemon daemon;
  const std::string row = R"("records_per_second":1000,"bytes_per_second":0,"dropped":0,
      "cpu_cores":0.0005,"cpu_seconds_per_record":5e-7,"note":"")";
  const auto vm = [&](const std::string& name, const std::string& backend) {
    return R"({"vm":")" + name + R"(","backend":")" + backend + R"(","events":[{"name":"a",)" +
           row + R"(},{"name":"b",)" + row + R"(}],"unknown":[],"error":""})";
  };
  daemon.answer("POST /v1/events/cost", 200,
                R"({"vms":[)" + vm("v", "simple") + "," + vm("w", "usdt") + "]}");

  EXPECT_EQ(run_qemon({"event", "cost", "?"}, daemon.path()).out,
            "VM  EVENT  BACKEND  RECORDS/S  BYTES/S  DROPS               CPU  PER RECORD  NOTE\n"
            "v   a      simple        1000        0      0  +0.1 % of a core     0.50 us\n"
            "w   a      usdt          1000        0      0  +0.1 % of a core     0.50 us\n"
            "v   b      simple        1000        0      0  +0.1 % of a core     0.50 us\n"
            "w   b      usdt          1000        0      0  +0.1 % of a core     0.50 us\n");
}

TEST(EventCost, SaysWhyNothingWasMeasured) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/events/cost", 200,
                R"({"vms":[{"vm":"w","events":[],"unknown":["x_*"],"error":""},
                {"vm":"v","events":[],"unknown":[],"error":"60 events match"}]})");

  expect(run_qemon({"event", "cost", "x_*"}, daemon.path()), 1, "",
         "qemon: w: no event matches 'x_*': see 'qemon event list'\nqemon: v: 60 events match\n");
  EXPECT_EQ(run_qemon({"event", "cost", "x", "--sample", "1ms"}, "/nowhere").status, 2);
}

}  // namespace
}  // namespace qemon::cli
