// Figures about a VM, as human monitors of QEMU 7.2 and 10.0 print them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qmp/error.hpp"
#include "qmp/hmp_translation.hpp"

namespace qemon::qmp {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::string meaning(std::string_view command, const std::vector<std::string>& texts) {
  const auto result = translate_hmp(command, nullptr, texts);
  if (result) return result->dump();
  EXPECT_TRUE(is_refusal(result.error())) << result.error().code;
  EXPECT_EQ(result.error().detail.find('\n'), std::string::npos);
  return "refused: " + result.error().detail;
}

// Of 7.2: a -drive, a -blockdev and two empty drives.
const std::string blockstats =
    "d0: rd_bytes=512 wr_bytes=1024 rd_operations=1 wr_operations=2 flush_operations=3 "
    "wr_total_time_ns=400 rd_total_time_ns=91456 flush_total_time_ns=5 rd_merged=6 wr_merged=7 "
    "idle_time_ns=960702351\r\n"
    ": rd_bytes=0 wr_bytes=0 rd_operations=0 wr_operations=0 flush_operations=0 "
    "wr_total_time_ns=0 rd_total_time_ns=0 flush_total_time_ns=0 rd_merged=0 wr_merged=0 "
    "idle_time_ns=0\r\n"
    "ide0-cd0: rd_bytes=0 wr_bytes=0 rd_operations=0 wr_operations=0 flush_operations=0 "
    "wr_total_time_ns=0 rd_total_time_ns=0 flush_total_time_ns=0 rd_merged=0 wr_merged=0 "
    "idle_time_ns=0\r\n"
    ": rd_bytes=0 wr_bytes=0 rd_operations=0 wr_operations=0 flush_operations=0 "
    "wr_total_time_ns=0 rd_total_time_ns=0 flush_total_time_ns=0 rd_merged=0 wr_merged=0 "
    "idle_time_ns=0\r\n";

const std::string block_d0 =
    "d0 (#block171): /srv/d.img (raw)\r\n"
    "    Attached to:      /machine/peripheral-anon/device[0]/virtio-backend\r\n"
    "    Cache mode:       writethrough\r\n";
const std::string block_others =
    "\r\n"
    "n1: json:{\"driver\": \"null-co\", \"size\": 1048576} (null-co)\r\n"
    "    Attached to:      /machine/peripheral-anon/device[1]/virtio-backend\r\n"
    "    Cache mode:       writethrough\r\n"
    "\r\n"
    "ide0-cd0: [not inserted]\r\n"
    "    Attached to:      /machine/unattached/device[18]\r\n"
    "    Removable device: not locked, tray closed\r\n"
    "\r\n"
    "/machine/peripheral-anon/device[3]: [not inserted]\r\n"
    "    Attached to:      /machine/peripheral-anon/device[3]\r\n"
    "    Removable device: not locked, tray closed\r\n";

/// "device qdev node-name" of each backend.
std::vector<std::string> names(const std::string& stats_text, const std::string& block_text) {
  std::vector<std::string> all;
  for (const json& one : json::parse(meaning("query-blockstats", {stats_text, block_text}))) {
    all.push_back(one.at("device").get<std::string>() + " " + one.value("qdev", "-") + " " +
                  one.value("node-name", "-"));
  }
  return all;
}

TEST(HmpFigures, ReadBlockStatistics) {
  const auto backends =
      json::parse(meaning("query-blockstats", {blockstats, block_d0 + block_others}));

  ASSERT_EQ(backends.size(), 4U);
  EXPECT_EQ(
      backends[0].dump(),
      R"({"device":"d0","node-name":"#block171",)"
      R"("qdev":"/machine/peripheral-anon/device[0]/virtio-backend","stats":{"flush_operations":3,)"
      R"("flush_total_time_ns":5,"idle_time_ns":960702351,"rd_bytes":512,"rd_merged":6,)"
      R"("rd_operations":1,"rd_total_time_ns":91456,"wr_bytes":1024,"wr_merged":7,)"
      R"("wr_operations":2,"wr_total_time_ns":400}})");
  EXPECT_FALSE(backends[1].at("stats").contains("idle_time_ns"));
  EXPECT_EQ(meaning("query-blockstats", {"", ""}), "[]");
}

TEST(HmpFigures, TellBackendsWithoutANameApart) {
  EXPECT_THAT(names(blockstats, block_d0 + block_others),
              ElementsAre("d0 /machine/peripheral-anon/device[0]/virtio-backend #block171",
                          " /machine/peripheral-anon/device[1]/virtio-backend n1",
                          "ide0-cd0 /machine/unattached/device[18] -",
                          " /machine/peripheral-anon/device[3] -"));
}

TEST(HmpFigures, DoNotMixBackendsUp) {
  const auto nameless = ElementsAre("d0 - -", " - -", "ide0-cd0 - -", " - -");
  // One that was plugged in meanwhile, one that is gone, none at all, and another order.
  EXPECT_THAT(names(blockstats, block_d0 + block_others + "\r\nx: [not inserted]\r\n"), nameless);
  EXPECT_THAT(names(blockstats, block_d0), nameless);
  EXPECT_THAT(names(blockstats, ""), nameless);
  EXPECT_THAT(names(blockstats, "d1" + block_d0.substr(2) + block_others), nameless);
  EXPECT_THAT(names(blockstats, "d00" + block_d0.substr(2) + block_others), nameless);
}

TEST(HmpFigures, DoNotBelieveTheNamesOfFiles) {
  const std::string one = blockstats.substr(0, blockstats.find('\n') + 1);
  EXPECT_THAT(names(one,
                    "d0 (n): /a\r\n    Attached to:      /evil\r\n (raw)\r\n"
                    "    Attached to:      /machine/x\r\n"),
              ElementsAre("d0 - n"));
  EXPECT_THAT(names(one, "d0 (n): /a\r\n\r\nd0: /b (raw)\r\n    Attached to:      /evil\r\n"),
              ElementsAre("d0 - -"));
}

TEST(HmpFigures, SayWhatBlockStatisticsTheyDoNotUnderstand) {
  for (const char* text : {"d0", "d0: rd_bytes=", "d0: rd_bytes=512 wr_by",
                           "d0: rd_bytes=x wr_bytes=1", "d0 rd_bytes=1 wr_bytes=1", "\n\n"}) {
    EXPECT_THAT(meaning("query-blockstats", {std::string(text) + "\nmore", ""}),
                HasSubstr("refused: unexpected answer of the human monitor"))
        << text;
  }
}

TEST(HmpFigures, ReadBlockJobs) {
  EXPECT_EQ(meaning("query-block-jobs", {"No active jobs\r\n"}), "[]");
  EXPECT_EQ(
      meaning("query-block-jobs",
              {"Type mirror, device copy-1: Completed 16777216 of 67108864 bytes, speed limit "
               "1048576 bytes/s\r\n"
               "Streaming device d0: Completed 1 of 2 bytes, speed limit 0 bytes/s\r\n"}),
      R"([{"device":"copy-1","len":67108864,"offset":16777216,"speed":1048576,)"
      R"("type":"mirror"},{"device":"d0","len":2,"offset":1,"speed":0,"type":"stream"}])");
  for (const char* text :
       {"none", "Type mirror, device copy-1: Comp", "Type mirror, device c: Completed 1 of 2 bytes",
        "Type mirror: Completed 1 of 2 bytes, speed limit 1 bytes/s"}) {
    EXPECT_THAT(meaning("query-block-jobs", {text}), HasSubstr("refused: unexpected answer"));
  }
}

TEST(HmpFigures, ReadMemory) {
  EXPECT_EQ(
      meaning("query-memory-size-summary", {"base memory: 33554432\r\nplugged memory: 0\r\n"}),
      R"({"base-memory":33554432,"plugged-memory":0})");
  EXPECT_EQ(meaning("query-memory-size-summary", {"base memory: 33554432\r\n"}),
            R"({"base-memory":33554432})");
  EXPECT_EQ(meaning("query-balloon", {"balloon: actual=128\r\n"}), R"({"actual":134217728})");
  EXPECT_EQ(meaning("query-balloon", {"Error: No balloon device has been activated\r\n"}),
            "refused: Error: No balloon device has been activated");
  for (const char* text : {"", "base memory: ", "base memory: lots", "balloon: actual=",
                           "balloon: actual=-1", "balloon: actual=9223372036854775807"}) {
    EXPECT_THAT(meaning("query-memory-size-summary", {text}), HasSubstr("refused: unexpected"));
    EXPECT_THAT(meaning("query-balloon", {text}), HasSubstr("refused: unexpected"));
  }
}

TEST(HmpFigures, ReadDirtyRates) {
  EXPECT_EQ(meaning("query-dirty-rate",
                    {"Status: measured\r\nStart Time: 1795544378 (ms)\r\nSample Pages: 512 (per "
                     "GB)\r\nPeriod: 1 (sec)\r\nMode: page-sampling\r\nDirty rate: 12 (MB/s)\r\n"}),
            R"({"calc-time":1,"dirty-rate":12,"start-time":1795544378,"status":"measured"})");
  EXPECT_EQ(
      meaning("query-dirty-rate",
              {"Status: unstarted\r\nStart Time: 0 (ms)\r\nSample Pages: 0 (per GB)\r\nPeriod: "
               "0 (sec)\r\nMode: page-sampling\r\nDirty rate: (not ready)\r\n"}),
      R"({"calc-time":0,"start-time":0,"status":"unstarted"})");
  EXPECT_THAT(meaning("query-dirty-rate", {"Dirty rate: 12"}), HasSubstr("refused: unexpected"));
}

const std::string globals_7_2 =
    "globals:\r\nstore-global-state: on\r\nonly-migratable: off\r\nsend-configuration: on\r\n"
    "send-section-footer: on\r\ndecompress-error-check: on\r\nclear-bitmap-shift: 18\r\n";

TEST(HmpFigures, ReadMigrations) {
  EXPECT_EQ(
      meaning(
          "query-migrate",
          {globals_7_2 +
           "Migration status: active\r\ntotal time: 704 ms\r\nexpected downtime: 300 ms\r\n"
           "setup: 1 ms\r\ntransferred ram: 29 kbytes\r\nthroughput: 0.33 mbps\r\n"
           "remaining ram: 130888 kbytes\r\ntotal ram: 131592 kbytes\r\nduplicate: 169 pages\r\n"
           "skipped: 0 pages\r\nnormal: 7 pages\r\nnormal bytes: 28 kbytes\r\n"
           "dirty sync count: 1\r\npage size: 4 kbytes\r\nmultifd bytes: 0 kbytes\r\n"
           "pages-per-second: 10\r\nprecopy ram: 29 kbytes\r\n"}),
      R"({"expected-downtime":300,"ram":{"dirty-pages-rate":0,"dirty-sync-count":1,)"
      R"("remaining":134029312,"total":134750208,"transferred":29696},"setup-time":1,)"
      R"("status":"active","total-time":704})");
  EXPECT_EQ(
      meaning("query-migrate",
              {"globals:\r\nMigration status: completed\r\ntotal time: 18 ms\r\ndowntime: 4 ms\r\n"
               "setup: 0 ms\r\ntotal ram: 1 kbytes\r\ndirty pages rate: 7 pages\r\n"}),
      R"({"downtime":4,"ram":{"dirty-pages-rate":7,"total":1024},"setup-time":0,)"
      R"("status":"completed","total-time":18})");
}

// As the source of 10.1 and later prints it; sizes are rounded.
TEST(HmpFigures, ReadMigrationsOfLaterVersions) {
  EXPECT_EQ(
      meaning("query-migrate",
              {"Status: \t\tpostcopy-active\r\n"
               "Time (ms): \t\ttotal=47317, setup=5, exp_down=300, down=8\r\n"
               "RAM info:\r\n  Throughput (Mbps): \t1342.83\r\n"
               "  Sizes: \t\tpagesize=4 KiB, total=4.02 GiB\r\n"
               "  Transfers: \t\ttransferred=1.41 GiB, remain=2.46 GiB\r\n"
               "    Channels: \t\tprecopy=15.2 MiB, multifd=0 B, postcopy=1.39 GiB\r\n"
               "    Page Types: \tnormal=367713, zero=41195\r\n"
               "  Page Rates (pps): \ttransfer=40900, dirty=4\r\n"
               "  Others: \t\tdirty_syncs=2, postcopy_req=57503\r\n"}),
      R"({"downtime":8,"expected-downtime":300,"ram":{"dirty-pages-rate":4,"dirty-sync-count":2},)"
      R"("setup-time":5,"status":"postcopy-active","total-time":47317})");
  EXPECT_EQ(meaning("query-migrate", {""}), "{}");
}

TEST(HmpFigures, DoNotTellTimesThatQemuDoesNotKnow) {
  EXPECT_EQ(meaning("query-migrate", {globals_7_2}), "{}");
  EXPECT_EQ(meaning("query-migrate",
                    {globals_7_2 + "Migration status: failed (Unable to write to command: Broken "
                                   "pipe)\r\ntotal time: 0 ms\r\n"}),
            R"({"status":"failed"})");
  EXPECT_EQ(meaning("query-migrate", {"globals:\r\nMigration status: setup\r\ntotal time: 0 ms"}),
            R"({"status":"setup"})");
  EXPECT_EQ(meaning("query-migrate", {"globals:\r\nMigration status: act"}), R"({"status":"act"})");
  EXPECT_EQ(meaning("query-migrate", {globals_7_2 + "Migration status: \r\n"}), "{}");
  EXPECT_THAT(meaning("query-migrate", {"what\r\ntotal time: 5 ms"}),
              HasSubstr("refused: unexpected answer of the human monitor \"what total"));
}

TEST(HmpFigures, ReadReplays) {
  EXPECT_EQ(meaning("query-replay", {"Record/replay is not active\r\n"}), R"({"mode":"none"})");
  EXPECT_EQ(
      meaning("query-replay", {"Recording execution '/tmp/r': instruction count = 5651238\r\n"}),
      R"({"filename":"/tmp/r","icount":5651238,"mode":"record"})");
  EXPECT_EQ(meaning("query-replay",
                    {"Replaying execution 'a': instruction count = 1': instruction count = 2\r\n"}),
            R"({"filename":"a': instruction count = 1","icount":2,"mode":"play"})");
  for (const char* text : {"", "Recording execution '/tmp/r': instruct",
                           "Recording execution '/tmp/r': instruction count = ",
                           "Recording execution '/tmp/r': instruction count = 5x",
                           "Recording': instruction count = 5"}) {
    EXPECT_THAT(meaning("query-replay", {text}), HasSubstr("refused: unexpected answer"));
  }
}

TEST(HmpFigures, SayWhatAnOldMonitorDoesNotKnow) {
  const std::vector<std::string> texts{"d0: rd_bytes=1 wr_bytes=2\r\n",
                                       "unknown command: 'info block'\r\n"};

  const auto result = translate_hmp("query-blockstats", nullptr, texts);

  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, errc::command_not_found);
}

TEST(HmpFigures, ThereAreNoneThatAHumanMonitorTellsOnlyInPart) {
  for (const char* command :
       {"query-jobs", "query-stats", "query-stats-schemas", "block-latency-histogram-set"}) {
    EXPECT_EQ(hmp_lines_for(command, nullptr).error().code, errc::command_not_found) << command;
  }
}

}  // namespace
}  // namespace qemon::qmp
