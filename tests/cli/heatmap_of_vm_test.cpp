#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/fake_daemon.hpp"
#include "tests/support/process.hpp"

namespace qemon::cli {
namespace {

using test::FakeDaemon;
using test::run_qemon;
using testing::StartsWith;

TEST(HeatmapOfVm, AsksForAllBlocksInTurn) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms/web1/heatmaps", 200,
                R"({"vm":"web1","plugin":{"level":"blocks","block_count":3}})");
  daemon.answer("GET /v1/vms/web1/plugin/blocks?first=0", 200,
                R"({"pid":7,"block_count":3,"beyond_executions":0,)"
                R"("blocks":[[18446744071578845184,5,2,8],[31744,90,1,2]]})");
  daemon.answer("GET /v1/vms/web1/plugin/blocks?first=2", 200,
                R"({"pid":7,"block_count":3,"beyond_executions":4,"blocks":[[31746,1,1,2]]})");

  const auto outcome = run_qemon({"heatmap", "web1"}, daemon.path());

  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out,
              StartsWith("source    VM web1\n"
                         "samples   100 executions of 3 blocks, counted by the TCG plugin\n"
                         "active    2 pages from 0x7c00 to 0xffffffff81000000, of 4 KiB each; 4 "
                         "samples in further pages\n"
                         "hottest   0x7c00, 90 times, 90.0 %\n"));
}

TEST(HeatmapOfVm, DoesNotMixTwoQemus) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms/web1/heatmaps", 200,
                R"({"vm":"web1","plugin":{"level":"blocks","block_count":2}})");
  daemon.answer("GET /v1/vms/web1/plugin/blocks?first=0", 200,
                R"({"pid":7,"block_count":2,"blocks":[[31744,90,1,2]]})");
  daemon.answer("GET /v1/vms/web1/plugin/blocks?first=1", 200,
                R"({"pid":8,"block_count":2,"blocks":[[31746,1,1,2]]})");

  test::expect(run_qemon({"heatmap", "--vm", "web1"}, daemon.path()), 1, "",
               "qemon: web1: QEMU was started again meanwhile: try once more\n");
}

constexpr const char* heat_map_of_pack =
    R"({"vm":"web1","plugin":null,"plugin_error":"was started without","heatmaps":[
{"name":"qemu_tcg_executed_page_total","help":"","range_bytes":4096,"other":10,
 "ranges":[{"address":4096,"count":30},{"address":1044480,"count":60}]}],
"top":[{"name":"qemu_tcg_hot_pc","help":"","values":[{"value":1044491,"count":60,"error":2}]}]})";

TEST(HeatmapOfVm, ShowsWhatThePackHasWithoutAPlugin) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms/web1/heatmaps", 200, heat_map_of_pack);

  const auto outcome = run_qemon({"heatmap", "--vm", "web1"}, daemon.path());

  EXPECT_THAT(outcome.out,
              StartsWith("source    VM web1\n"
                         "samples   100 records of exec_tb, counted by the pack tcg\n"
                         "active    2 pages from 0x1000 to 0xfffff, of 4 KiB each; 10 samples in "
                         "further pages\n"
                         "hottest   0xff00b, 60 times, 60.0 % (at most too high by 2)\n"));
}

TEST(HeatmapOfVm, CannotTellMoreApartThanQemondDoes) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms/web1/heatmaps", 200, heat_map_of_pack);

  test::expect(run_qemon({"heatmap", "--vm", "web1", "--page", "64"}, daemon.path()), 1, "",
               "qemon: web1: qemond counts pages of 4.0 KiB, so that --page cannot be less\n");
}

TEST(HeatmapOfVm, SaysWhatToSwitchOn) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms/a/heatmaps", 200,
                R"({"vm":"a","plugin":null,"plugin_error":"was started without it"})");
  daemon.answer("GET /v1/vms/b/heatmaps", 200,
                R"({"vm":"b","plugin":{"level":"count","block_count":0},"plugin_error":""})");
  daemon.answer("GET /v1/vms/c/heatmaps", 200,
                R"({"vm":"c","plugin":{"level":"all","block_count":0},"plugin_error":""})");
  const auto why = [&](const char* vm) {
    const auto outcome = run_qemon({"heatmap", "--vm", vm}, daemon.path());
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  };

  EXPECT_EQ(
      why("a"),
      "qemon: a: nothing to show: use qemon pack on tcg --vm a, or the TCG plugin, but QEMU was "
      "started without it\n");
  EXPECT_EQ(why("b"),
            "qemon: b: nothing to show: its TCG plugin counts at level count: use qemon plugin "
            "level b blocks --for 1m, or qemon pack on tcg --vm b\n");
  EXPECT_EQ(why("c"), "qemon: c: no block has been executed yet\n");
}

TEST(HeatmapOfVm, WhatIsNeitherFileNorVmIsSaidToBeNeither) {
  FakeDaemon daemon;
  daemon.answer("GET /v1/vms/trace.log/heatmaps", 404, R"({"error":"no VM named trace.log"})");

  const auto outcome = run_qemon({"heatmap", "trace.log"}, daemon.path());

  test::expect(outcome, 1, "",
               "qemon: there is no file trace.log, and as a VM: no VM named trace.log\n");
}

}  // namespace
}  // namespace qemon::cli
