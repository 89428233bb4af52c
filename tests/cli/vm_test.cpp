#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/fake_daemon.hpp"

namespace qemon::cli {
namespace {

using test::FakeDaemon;
using test::run_qemon;
using testing::ElementsAre;

TEST(VmList, ShowsATableAndWhatDoesNotFitIntoIt) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms", 200, R"({"vms":[
{"name":"web1","address":"unix:/run/web1.qmp","state":"attached","reason":"",
  "released_for_seconds":null,"qemu_version":"7.2.22",
 "trace":{"backend":"log","how":"asked","bytes_read":1258291,"records":12345,"dropped":7,
  "lag_bytes":2048,"lag_seconds":0.1},
 "events":{"known":4246,"on":3,"held":3},"degraded":["no catalog"]},
{"name":"arm","address":"tcp:127.0.0.1:4444","state":"unreachable","reason":"Connection refused",
  "released_for_seconds":null,
 "qemu_version":"","trace":{"backend":"unknown","how":"","bytes_read":0,"records":0,"dropped":0,
  "lag_bytes":0,"lag_seconds":null},
 "events":{"known":0,"on":0,"held":0},"degraded":[]},
{"name":"lent","address":"tcp:127.0.0.1:5","state":"released","reason":"",
  "released_for_seconds":12}]})");

  const auto outcome = run_qemon({"vm", "list"}, daemon.path());

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "NAME  STATE        QEMU    TRACE    EVENTS ON  RECORDS     READ      LAG  LAG TIME  "
            "DROPPED  ADDRESS\n"
            "web1  attached     7.2.22  log              3    12345  1.2 MiB  2.0 KiB     0.1 s    "
            "    7  unix:/run/web1.qmp\n"
            "arm   unreachable  -       unknown          0        0      0 B      0 B         -    "
            "    0  tcp:127.0.0.1:4444\n"
            "lent  released     -       -                0        0      0 B      0 B         -    "
            "    0  tcp:127.0.0.1:5\n"
            "\n"
            "web1: trace backend log: asked\n"
            "web1: degraded: no catalog\n"
            "arm: unreachable: Connection refused\n"
            "lent: released for 12 s more\n");
}

TEST(VmList, IsATitleWhenThereAreNoVms) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms", 200, R"({"vms":[]})");

  EXPECT_EQ(
      run_qemon({"vm", "list"}, daemon.path()).out,
      "NAME  STATE  QEMU  TRACE  EVENTS ON  RECORDS  READ  LAG  LAG TIME  DROPPED  ADDRESS\n");
}

TEST(VmRelease, AsksForTheTimeGiven) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/vms/web%201/release", 200,
                R"({"vm":"web 1","released_for_seconds":600})");

  const auto outcome = run_qemon({"vm", "release", "web 1", "--for", "10m"}, daemon.path());

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out, "web 1: monitor released for 10m 0s; qemond takes it back then\n");
  EXPECT_THAT(daemon.requests(), ElementsAre(R"(POST /v1/vms/web%201/release {"seconds":600})"));
}

TEST(VmRelease, AsksForFractionsOfASecond) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/vms/a/release", 200, R"({"vm":"a","released_for_seconds":0.5})");

  const auto outcome =
      run_qemon({"vm", "release", "a", "--for", "500ms", "-o", "json"}, daemon.path());

  EXPECT_EQ(outcome.out, "{\n  \"vm\": \"a\",\n  \"released_for_seconds\": 0.5\n}\n");
  EXPECT_THAT(daemon.requests(), ElementsAre(R"(POST /v1/vms/a/release {"seconds":0.5})"));
}

TEST(VmRelease, ShowsWhyItFailed) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/vms/a/release", 404,
                R"({"error":"no VM is called 'a': see 'qemon vm list'"})");

  const auto outcome = run_qemon({"vm", "release", "a", "--for", "1s"}, daemon.path());

  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "qemon: no VM is called 'a': see 'qemon vm list'\n");
}

}  // namespace
}  // namespace qemon::cli
