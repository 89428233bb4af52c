#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/fake_daemon.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::cli {
namespace {

using test::expect;
using test::FakeDaemon;
using test::run_qemon;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(PackList, ShowsStatesAndWhatIsNotOffered) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/packs", 200, R"({"packs":[
{"name":"exec-log","help":"Logs.","file":"f","only_replay":true,"events":["a"],"metrics":[{}],"vms":[]},
{"name":"irq","help":"Interrupts.","file":"f","only_replay":false,"events":["a","b"],
 "metrics":[{},{},{}],"vms":[
 {"vm":"web1","on":true,"events":["a"],"not_offered":[{"name":"qemu_x_total","why":"has none of the events b"}],
  "note":"no latencies, since QEMU runs without -msg timestamp=on","error":""},
 {"vm":"web2","on":false,"events":[],"not_offered":[],"note":"","error":"is unreachable: gone"}]}]})");

  expect(run_qemon({"pack", "list"}, daemon.path()), 0,
         "PACK      VM    STATE        EVENTS  METRICS  HELP\n"
         "exec-log  -     replay only       1        1  Logs.\n"
         "irq       web1  on                1   2 of 3  Interrupts.\n"
         "irq       web2  off               ?        ?\n"
         "\n"
         "not offered:\n"
         "  web1: qemu_x_total: has none of the events b\n"
         "  web1: irq: no latencies, since QEMU runs without -msg timestamp=on\n",
         "");
}

TEST(PackList, AsksForOneVm) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/packs?vm=web%201", 200, R"({"packs":[]})");

  EXPECT_EQ(run_qemon({"pack", "list", "--vm", "web 1"}, daemon.path()).status, 0);
  EXPECT_THAT(daemon.requests(), ElementsAre("GET /v1/packs?vm=web%201"));
}

TEST(PackShow, ShowsEventsAndMetrics) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/packs/irq", 200,
                R"({"name":"irq","help":"Interrupts.","file":"packs/irq.yaml",
"only_replay":false,"events":["a","b"],"text":"","metrics":[
{"name":"qemu_irq_total","kind":"counter","help":"All.","labels":["controller","line"]}]})");

  expect(run_qemon({"pack", "show", "irq"}, daemon.path()), 0,
         "irq: Interrupts.\n"
         "  file    packs/irq.yaml\n"
         "  events  a b\n"
         "\n"
         "METRIC          KIND     LABELS              HELP\n"
         "qemu_irq_total  counter  vm,controller,line  All.\n",
         "");
}

TEST(PackOn, SaysWhatWasSwitchedOn) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/packs", 200, R"({"vms":[{"vm":"web1","changed":["a","b"],"already":["c"],
"failed":[],"error":"","packs":[
{"name":"irq","changed":true,"metrics":3,"not_offered":[{"name":"x","why":"has none of the events y"}]},
{"name":"block","changed":false,"metrics":2,"not_offered":[]}]}]})");

  expect(run_qemon({"pack", "on", "irq", "block", "--vm", "web1"}, daemon.path()), 0,
         "web1: pack irq on, without 1 of its 3 metrics (see qemon pack list)\n"
         "web1: pack block already on\n"
         "web1: 2 events on (a, b)\n",
         "");
  EXPECT_THAT(daemon.requests(),
              ElementsAre(R"(POST /v1/packs {"action":"on","packs":["irq","block"],"vm":"web1"})"));
}

TEST(PackOn, FailsWhereAPackHasNothingToOffer) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/packs", 200, R"({"vms":[{"vm":"web1","changed":[],"failed":[],"error":"",
"packs":[{"name":"9p","changed":false,"metrics":1,
"not_offered":[{"name":"x","why":"has none of the events y"}]}]}]})");

  expect(run_qemon({"pack", "on", "9p"}, daemon.path()), 1, "",
         "qemon: web1: pack 9p has no metric for this QEMU: x: has none of the events y\n");
}

TEST(PackOn, FailsForAnUnknownPackAndAVmThatIsAway) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/packs", 404, R"({"error":"there is no pack irk: did you mean irq?"})");
  FakeDaemon other;
  other.answer("POST /v1/packs", 200,
               R"({"vms":[{"vm":"web1","packs":[],"error":"is unreachable: no such socket"}]})");

  expect(run_qemon({"pack", "on", "irk"}, daemon.path()), 1, "",
         "qemon: there is no pack irk: did you mean irq?\n");
  expect(run_qemon({"pack", "off", "irq"}, other.path()), 1, "",
         "qemon: web1: is unreachable: no such socket\n");
}

TEST(Reload, TellsEveryMistake) {
  FakeDaemon daemon;
  daemon.answer(
      "POST /v1/reload", 200,
      R"({"reloaded":false,"packs":16,"mistakes":["a.yaml:3: x: no","b.yaml: is empty"]})");

  expect(run_qemon({"reload"}, daemon.path()), 1, "",
         "qemon: a.yaml:3: x: no\n"
         "qemon: b.yaml: is empty\n"
         "qemon: nothing was reloaded: everything stays as it was\n");
}

TEST(Reload, SaysWhatIsThereNow) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/reload", 200, R"({"reloaded":true,"packs":16,"mistakes":[]})");

  expect(run_qemon({"reload"}, daemon.path()), 0, "reloaded: 16 packs\n", "");
}

constexpr const char* catalog_text =
    "virtio_blk_handle_read(void *vdev, void *req, uint64_t sector, size_t nsectors) "
    "\"vdev %p req %p sector %\" PRIu64 \" nsectors %zu\"\n";

constexpr const char* pack_text = R"(version: 1
pack: disk
help: Reads.
metrics:
  - counter: my_read_bytes_total
    help: Bytes.
    events: virtio_blk_handle_read
    add: nsectors * 512
)";

TEST(PackCheck, NamesFileLineKeyAndCureWithoutADaemon) {
  const test::TempDir directory;
  const auto catalog = directory / "trace-events-all";
  const auto pack = directory / "disk.yaml";
  test::write_file(catalog, catalog_text);
  std::string wrong = pack_text;
  wrong.replace(wrong.find("nsectors *"), 8, "nsector");
  test::write_file(pack, wrong);

  const auto outcome = run_qemon({"pack", "check", pack, "--trace-events", catalog}, "/nowhere");

  expect(outcome, 1, "",
         pack +
             ":8: add: event virtio_blk_handle_read has no argument \"nsector\": did you mean "
             "nsectors? It has vdev, req, sector, nsectors\n");
}

TEST(PackCheck, SaysThatAPackIsRight) {
  const test::TempDir directory;
  const auto catalog = directory / "trace-events-all";
  const auto pack = directory / "disk.yaml";
  test::write_file(catalog, catalog_text);
  test::write_file(pack, pack_text);

  expect(run_qemon({"pack", "check", pack, "--trace-events", catalog}, "/nowhere"), 0,
         pack + ": is right\n", "");
}

TEST(PackCheck, FailsForFilesThatAreNotThere) {
  const test::TempDir directory;
  const auto catalog = directory / "trace-events-all";
  test::write_file(catalog, catalog_text);

  const auto no_pack =
      run_qemon({"pack", "check", directory / "no.yaml", "--trace-events", catalog}, "/nowhere");
  const auto no_catalog = run_qemon(
      {"pack", "check", directory / "no.yaml", "--trace-events", directory / "none"}, "/nowhere");

  expect(no_pack, 1, "", directory / "no.yaml" + ": cannot be read: No such file or directory\n");
  EXPECT_EQ(no_catalog.status, 1);
  EXPECT_THAT(no_catalog.err, HasSubstr(directory / "none"));
}

}  // namespace
}  // namespace qemon::cli
