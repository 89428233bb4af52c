#include <gtest/gtest.h>

#include "tests/cli/fake_daemon.hpp"

namespace qemon::cli {
namespace {

using test::FakeDaemon;
using test::run_qemon;

constexpr const char* two_vms =
    R"({"version":"0.1.0","pid":4711,"uptime_seconds":7384.2,"listen":"127.0.0.1:9749",
"control_socket":"/run/qemond/control.sock","vms":[
{"name":"web1","address":"unix:/run/vms/web1.qmp","state":"attached","reason":"",
  "released_for_seconds":null,
 "qemu_version":"7.2.22","package":"Debian 1:7.2+dfsg-7","run_state":"running","guest_name":"web",
  "uuid":"","arch":"x86_64",
 "accelerator":"tcg","pid":4242,
 "trace":{"backend":"log","how":"'logfile' answers, 'trace-file' is unknown",
  "destination":"file by descriptor",
  "path":"/run/qemond/trace/web1.log","catalog":"/usr/share/qemu/trace-events-all",
  "timestamps":false,
  "bytes_read":1258291,"records":12345,"dropped":0,"lag_bytes":0,"lag_seconds":0.12,
  "complete_ratio":0.9996},
 "budget":{"records":50000.0,"bytes":67108864.0,"drops":null,"lag_seconds":5.0,"grace_seconds":5.0,
  "rates":{"records":1234.4,"bytes":99.0,"drops":0.0},"tripped":[]},
 "leases":1,"events":{"known":4246,"on":3,"held":2},
 "degraded":["no timestamps in the log: start QEMU with -msg timestamp=on for latencies"],
 "unknown":["whether others are attached to the same probes"]},
{"name":"arm","address":"tcp:127.0.0.1:4444","state":"unreachable","reason":"Connection refused",
  "released_for_seconds":null,
 "qemu_version":"","package":"","run_state":"","guest_name":"","uuid":"",
  "arch":"","accelerator":"","pid":null,
 "trace":{"backend":"unknown","how":"","destination":"none","path":"","catalog":"",
  "timestamps":null,"bytes_read":0,
  "records":0,"dropped":0,"lag_bytes":0,"lag_seconds":null},
 "events":{"known":0,"on":0,"held":0},"degraded":[]}]})";

TEST(Status, ShowsTheDaemonAndEachVm) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/status", 200, two_vms);

  const auto outcome = run_qemon({"status"}, daemon.path());

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(
      outcome.out,
      "qemond 0.1.0, pid 4711, up 2h 3m\n"
      "  metrics   http://127.0.0.1:9749/metrics\n"
      "  control   /run/qemond/control.sock\n"
      "\n"
      "web1: attached, running, QEMU 7.2.22 (Debian 1:7.2+dfsg-7), x86_64, tcg, pid 4242\n"
      "  guest     web\n"
      "  address   unix:/run/vms/web1.qmp\n"
      "  trace     log ('logfile' answers, 'trace-file' is unknown), file by descriptor: "
      "/run/qemond/trace/web1.log\n"
      "  catalog   /usr/share/qemu/trace-events-all\n"
      "  events    3 on, 2 held by 1 lease, 4246 known\n"
      "  records   12345 from 1.2 MiB, drops are not counted by the log backend, lag 0 B, 0.1 s, "
      "complete in 99.9% of the last minute\n"
      "  budget    50000 records/s, 64.0 MiB/s, 5.0 s of lag; more for 5.0 s switches events off; "
      "now 1234 records/s\n"
      "  degraded  no timestamps in the log: start QEMU with -msg timestamp=on for latencies\n"
      "  unknown   whether others are attached to the same probes\n"
      "\n"
      "arm: unreachable: Connection refused\n"
      "  address   tcp:127.0.0.1:4444\n");
}

TEST(Status, SaysWhenThereAreNoVms) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/status", 200,
                R"({"version":"0.1.0","pid":1,"uptime_seconds":1.5,"listen":"","vms":[]})");

  EXPECT_EQ(run_qemon({"status"}, daemon.path()).out,
            "qemond 0.1.0, pid 1, up 1.5 s\n\nno VMs: start qemond with --vm NAME=ADDRESS\n");
}

TEST(Status, ShowsAReleasedVm) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/status", 200,
                R"({"version":"0.1.0","vms":[{"name":"a","state":"released","reason":"",
  "released_for_seconds":42.0}]})");

  EXPECT_EQ(run_qemon({"status"}, daemon.path()).out,
            "qemond 0.1.0\n\na: released for 42 s more\n");
}

TEST(Status, BearsWhateverTypesTheAnswerHas) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/status", 200,
                R"({"version":1,"pid":"x","uptime_seconds":null,"listen":[],"vms":[1,null,"x",[],{},
                    {"name":{},"trace":7,"events":[],"degraded":[1,"\u001b[2J"],"pid":-5}]})");

  const auto outcome = run_qemon({"status"}, daemon.path());

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out.substr(0, 8), "qemond \n");
  EXPECT_NE(outcome.out.find("  degraded  \\x1b[2J\n"), std::string::npos);
}

TEST(Status, JsonIsTheAnswerItself) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/status", 200,
                R"({"z":18446744073709551615,"a":[1.5,null,"\u001b\u009b\u00e9"]})");

  const auto outcome = run_qemon({"status", "--output", "json"}, daemon.path());

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out,
            "{\n  \"z\": 18446744073709551615,\n  \"a\": [\n    1.5,\n    null,\n    "
            "\"\\u001b\\u009b\\u00e9\"\n  ]\n}\n");
}

}  // namespace
}  // namespace qemon::cli
