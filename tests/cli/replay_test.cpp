#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "tests/cli/fake_daemon.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/trace/simple_trace.hpp"

namespace qemon::cli {
namespace {

using test::Outcome;
using test::run_qemon;
using test::TempDir;
using test::write_file;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Json = nlohmann::json;

constexpr std::string_view catalog =
    "virtio_blk_handle_read(void *vdev, void *req, uint64_t sector, uint64_t nsectors) "
    "\"vdev %p req %p sector %\"PRIu64\" nsectors %\"PRIu64\"\"\n"
    "virtio_blk_req_complete(void *vdev, void *req, int status) "
    "\"vdev %p req %p status %d\"\n";

constexpr std::string_view pack = R"(version: 1
pack: disk
help: A test.
metrics:
  - counter: disk_bytes_total
    help: Bytes.
    events: virtio_blk_handle_read
    add: nsectors * 512
    labels:
      operation: read
  - latency: disk_seconds
    help: Time.
    begin: virtio_blk_handle_read
    end: virtio_blk_req_complete
    key: req
    buckets: [0.001, 1]
)";

constexpr std::string_view exec_pack = R"(version: 1
pack: code
help: A test.
decoder: exec-log
metrics:
  - heatmap: code_total
    help: Pages.
    events: exec_log_block
    address: pc
    label: page
)";

std::string begin(int microseconds, int request) {
  return "7@1." + std::to_string(1'000'000 + microseconds).substr(1) +
         ":virtio_blk_handle_read vdev 0x1 req 0x" + std::to_string(request) +
         " sector 0 nsectors 8\n";
}

std::string end(int microseconds, int request) {
  return "7@1." + std::to_string(1'000'000 + microseconds).substr(1) +
         ":virtio_blk_req_complete vdev 0x1 req 0x" + std::to_string(request) + " status 0\n";
}

void write_gzip(const std::string& path, std::string_view content) {
  const gzFile file = gzopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(gzwrite(file, content.data(), static_cast<unsigned>(content.size())),
            static_cast<int>(content.size()));
  EXPECT_EQ(gzclose(file), Z_OK);
}

/// A directory with a catalog and packs, and qemon run there.
class Replay : public testing::Test {
 protected:
  Replay() {
    write_file(dir / "events", catalog);
    write_file(dir / "disk.yaml", pack);
    write_file(dir / "code.yaml", exec_pack);
  }

  /// `arguments`: names of files in the directory, and options.
  [[nodiscard]] Outcome run(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all{"replay", "--trace-events", dir / "events"};
    for (const auto& argument : arguments) {
      const bool is_name = argument.find('.') != std::string::npos;
      all.push_back(is_name ? dir / argument : argument);
    }
    return run_qemon(all);
  }
  [[nodiscard]] Json run_json(std::vector<std::string> arguments, int status = 0) const {
    arguments.insert(arguments.end(), {"--output", "json"});
    const auto outcome = run(arguments);
    EXPECT_EQ(outcome.status, status) << outcome.err;
    return Json::parse(outcome.out);
  }

  TempDir dir;
};

/// The samples of a metric; null if it is not there.
Json samples(const Json& output, std::string_view name) {
  for (const auto& metric : output["metrics"])
    if (metric["name"] == name) return metric["samples"];
  return nullptr;
}

TEST_F(Replay, CountsTheEventsOfALog) {
  write_file(dir / "a.log", begin(0, 1) + "a warning\n" + end(500, 1) + begin(2000, 2));

  const Json output = run_json({"a.log"});

  const Json summary = output["summary"];
  EXPECT_EQ(summary["files"][0]["name"], dir / "a.log");
  EXPECT_EQ(summary["files"][0]["complete"], true);
  EXPECT_EQ(summary["format"], "log");
  EXPECT_EQ(summary["catalog"], dir / "events");
  EXPECT_EQ(summary["records"], 3);
  EXPECT_EQ(summary["first_ns"], 1'000'000'000);
  EXPECT_EQ(summary["last_ns"], 1'002'000'000);
  EXPECT_EQ(summary["records_per_second"], 1500);
  EXPECT_EQ(summary["errors"]["unknown_line"], 1);
  EXPECT_EQ(output["events"].dump(),
            R"([{"count":2,"name":"virtio_blk_handle_read","per_second":1000.0},)"
            R"({"count":1,"name":"virtio_blk_req_complete","per_second":500.0}])");
  EXPECT_EQ(output["metrics"], Json::array());
}

TEST_F(Replay, MakesThePacksMetrics) {
  write_file(dir / "a.log", begin(0, 1) + end(500, 1) + begin(1000, 2) + end(3000, 2));

  const Json output = run_json({"a.log", "--pack", "disk.yaml", "--vm", "web1"});

  EXPECT_EQ(samples(output, "disk_bytes_total").dump(),
            R"([{"labels":{"operation":"read","vm":"web1"},"value":8192}])");
  EXPECT_EQ(samples(output, "disk_seconds").dump(),
            R"([{"buckets":[{"count":1,"le":0.001},{"count":2,"le":1},{"count":2,"le":"+Inf"}],)"
            R"("count":2,"labels":{"vm":"web1"},"sum":0.0025}])");
}

TEST_F(Replay, ShowsTables) {
  write_file(dir / "a.log", begin(0, 1) + end(500, 1) + begin(1000, 2) + end(3000, 2));

  const auto outcome = run({"a.log", "--pack", "disk.yaml"});

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, StartsWith("files     " + dir / "a.log" + "\nread      "));
  EXPECT_THAT(outcome.out, HasSubstr("span      3 ms, from 1970-01-01 00:00:01 UTC\n"
                                     "records   4 of 2 events, 1333 per second\n"
                                     "dropped   0 by QEMU\n"
                                     "errors    none\n"
                                     "\n"
                                     "EVENT                    RECORDS  PER SECOND\n"
                                     "virtio_blk_handle_read         2       666.7\n"
                                     "virtio_blk_req_complete        2       666.7\n"
                                     "\n"
                                     "disk_bytes_total (counter): Bytes.\n"
                                     "OPERATION  VALUE  PER SECOND\n"
                                     "read        8192     2730667\n"));
  EXPECT_THAT(outcome.out, HasSubstr("COUNT     MEAN   P50     P90     P99     MAX\n"
                                     "    2  1.25 ms  1 ms  800 ms  980 ms  <= 1 s\n"));
  EXPECT_THAT(outcome.out, HasSubstr("disk_seconds  matched      2"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("Packs that make")));
}

TEST_F(Replay, NamesThePacksThatWouldHaveMetrics) {
  write_file(dir / "a.log", begin(0, 1) + end(500, 1));

  EXPECT_THAT(run({"a.log"}).out,
              HasSubstr("\nPacks that make metrics of these events: virtio-blk (add for instance "
                        "--pack virtio-blk)\n"));
}

TEST_F(Replay, WritesWhatPrometheusReads) {
  write_file(dir / "a.log", begin(0, 1) + end(500, 1));

  const auto outcome = run({"a.log", "--pack", "disk.yaml", "-o", "prometheus"});

  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, StartsWith("# files: " + dir / "a.log" + "\n# read: "));
  EXPECT_THAT(
      outcome.out,
      HasSubstr("# TYPE qemu_trace_events_total counter\n"
                "qemu_trace_events_total{vm=\"replay\",event=\"virtio_blk_handle_read\"} 1\n"
                "qemu_trace_events_total{vm=\"replay\",event=\"virtio_blk_req_complete\"} "
                "1\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nqemu_trace_dropped_events_total{vm=\"replay\"} 0\n"));
  EXPECT_THAT(outcome.out,
              HasSubstr("\nqemond_trace_decode_errors_total{vm=\"replay\",reason=\"bad_record\"} "
                        "0\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\ndisk_seconds_bucket{vm=\"replay\",le=\"0.001\"} 1\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nqemond_pack_pairs_total{vm=\"replay\",metric="
                                     "\"disk_seconds\",outcome=\"matched\"} 1\n"));
}

TEST_F(Replay, ReadsFilesAsOneTraceButPairsNothingAcross) {
  write_gzip(dir / "a.log.1.gz", begin(0, 1) + end(100, 1) + begin(200, 2));
  write_file(dir / "a.log", end(300, 2) + begin(400, 3) + end(500, 3));

  const Json output = run_json({"a.log.1.gz", "a.log", "--pack", "disk.yaml"});

  EXPECT_EQ(output["summary"]["records"], 6);
  EXPECT_EQ(output["summary"]["files"][0]["compressed"], true);
  EXPECT_EQ(output["summary"]["files"][1]["compressed"], false);
  EXPECT_EQ(output["summary"]["span_seconds"], 0.0005);
  EXPECT_EQ(samples(output, "disk_seconds")[0]["count"], 2);
  std::map<std::string, int> outcomes;
  for (const auto& sample : samples(output, "qemond_pack_pairs_total"))
    outcomes[sample["labels"]["outcome"]] = sample["value"];
  EXPECT_EQ(outcomes["matched"], 2);
  EXPECT_EQ(outcomes["discarded"], 1);
  EXPECT_EQ(outcomes["orphan_end"], 1);
}

TEST_F(Replay, ReadsSimpleTraces) {
  test::SimpleTrace trace;
  trace.header()
      .mapping(0, "virtio_blk_handle_read")
      .mapping(1, "not_in_the_catalog")
      .event(0, 5'000'000'000, test::u64s({1, 2, 0, 8}))
      .event(1, 5'500'000'000, "")
      .dropped(5'600'000'000, 11)
      .event(0, 6'000'000'000, test::u64s({1, 3, 0, 16}));
  write_file(dir / "t.bin", trace.bytes);

  const Json output = run_json({"t.bin", "--pack", "disk.yaml"});

  EXPECT_EQ(output["summary"]["format"], "simple");
  EXPECT_EQ(output["summary"]["records"], 3);
  EXPECT_EQ(output["summary"]["dropped_events"], 11);
  EXPECT_EQ(output["summary"]["span_seconds"], 1);
  EXPECT_EQ(output["events"][1]["name"], "not_in_the_catalog");
  EXPECT_EQ(samples(output, "disk_bytes_total")[0]["value"], 24 * 512);
}

TEST_F(Replay, SaysWhenTheCatalogIsOfAnotherQemu) {
  test::SimpleTrace trace;
  trace.header().mapping(0, "virtio_blk_handle_read");
  for (std::uint64_t i = 0; i < 9; ++i) trace.event(0, 1000 + i, test::u64s({1, 2}));
  write_file(dir / "t.bin", trace.bytes);

  const auto outcome = run({"t.bin"});

  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("9 records that the catalog does not fit"));
  EXPECT_EQ(outcome.err, "qemon: " + dir / "events" +
                             " is of another QEMU: give the file of the one that wrote the trace "
                             "with --trace-events\n");
}

TEST_F(Replay, SaysWhatIsWrongWithASimpleTraceThatCannotBeRead) {
  write_file(dir / "t.bin", test::SimpleTrace().header(3).bytes + std::string(1000, 'x'));

  const auto outcome = run({"t.bin"});

  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, StartsWith("qemon: " + dir / "t.bin" + ": "));
  EXPECT_THAT(outcome.err, HasSubstr("version 3"));
  EXPECT_THAT(outcome.out, HasSubstr("records   0 of 0 events"));
}

TEST_F(Replay, ReadsExecLogsWithTheirPack) {
  write_file(dir / "a.log",
             "Trace 0: 0x7f01 [00000000/00401000/0/0] main\n"
             "Linking TBs 0x7f01 index 1 -> 0x7f02\n"
             "Trace 0: 0x7f02 [00000000/00401020/0/0] main\n"
             "Trace 0: 0x7f03 [00000000/00402000/0/0] f\n");

  const Json output = run_json({"a.log", "--pack", "code.yaml"});
  const auto without = run({"a.log"});

  EXPECT_EQ(output["summary"]["format"], "exec-log");
  EXPECT_EQ(output["summary"]["catalog"], nullptr);
  EXPECT_EQ(output["summary"]["span_seconds"], nullptr);
  EXPECT_EQ(output["events"].dump(), R"([{"count":3,"name":"exec_log_block","per_second":null}])");
  EXPECT_EQ(samples(output, "code_total")[0]["labels"]["page"], "0x401000");
  EXPECT_EQ(samples(output, "code_total")[0]["value"], 2);
  EXPECT_EQ(without.err,
            "qemon: no line is a record of an event that the catalog knows: is this a trace of "
            "QEMU? Logs of -d exec and -d cpu need --pack exec-log\n");
  EXPECT_EQ(without.status, 1);
}

TEST_F(Replay, ShowsWhatWasReadOfABrokenFileAndOfTheOthers) {
  write_gzip(dir / "whole.gz", begin(0, 1) + end(500, 1));
  const std::string packed = test::read_file(dir / "whole.gz");
  write_file(dir / "cut.gz", packed.substr(0, packed.size() - 4));
  write_file(dir / "a.log", begin(600, 2));

  const auto outcome = run({"cut.gz", "none.log", "a.log", "-o", "json"});

  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.err,
            "qemon: " + dir / "cut.gz" +
                ": the gzip data ends early; what there is of it was read\n"
                "qemon: " +
                dir / "none.log" +
                ": No such file or directory; name a trace file, or - for standard input\n");
  const Json output = Json::parse(outcome.out);
  EXPECT_EQ(output["summary"]["records"], 3);
  EXPECT_EQ(output["summary"]["files"].size(), 2u);
  EXPECT_EQ(output["summary"]["files"][0]["complete"], false);
  EXPECT_EQ(output["summary"]["files"][1]["complete"], true);
}

TEST_F(Replay, ShowsNothingIfNothingCouldBeOpened) {
  const auto outcome = run({"none.log"});

  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "");
}

TEST_F(Replay, DoesNotCountALastLineThatIsCutOff) {
  write_file(dir / "a.log", begin(0, 1) + "7@1.000100:virtio_blk_handle_read vdev 0x1 req 0x2");

  const auto outcome = run({"a.log"});

  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("records   1 of 1 event\n"));
  EXPECT_EQ(outcome.err, "qemon: " + dir / "a.log" +
                             ": ends within a record, which is not counted (the last 50 bytes)\n");
}

TEST_F(Replay, TakesEmptyFiles) {
  write_file(dir / "a.log", "");
  write_file(dir / "b.log", begin(0, 1));

  const auto empty = run({"a.log"});

  EXPECT_EQ(empty.status, 0);
  EXPECT_EQ(empty.err, "");
  EXPECT_THAT(empty.out, HasSubstr("format    unknown\n"));
  EXPECT_EQ(run_json({"a.log", "b.log"})["summary"]["records"], 1);
}

TEST_F(Replay, DoesNotMixKindsOfTraces) {
  write_file(dir / "a.log", begin(0, 1));
  write_file(dir / "t.bin", test::SimpleTrace().header().bytes);

  const auto mixed = run({"a.log", "t.bin"});
  const auto exec = run({"t.bin", "--pack", "code.yaml"});

  EXPECT_EQ(mixed.status, 1);
  EXPECT_THAT(mixed.out, HasSubstr("records   1 of 1 event\n"));
  EXPECT_EQ(mixed.err, "qemon: " + dir / "t.bin" +
                           ": is a simple trace, but what was read before is not; replay them one "
                           "by one\n");
  EXPECT_EQ(exec.status, 1);
  EXPECT_EQ(exec.out, "");
  EXPECT_EQ(exec.err, "qemon: " + dir / "t.bin" +
                          ": is a simple trace, but pack code reads logs of -d exec and -d cpu\n");
}

TEST_F(Replay, SaysWhyThereAreNoLatencies) {
  write_file(dir / "a.log", "virtio_blk_handle_read vdev 0x1 req 0x1 sector 0 nsectors 8\n");

  const auto outcome = run({"a.log", "--pack", "disk.yaml"});

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err,
            "qemon: no timestamps in the log: start QEMU with -msg timestamp=on for latencies\n");
  EXPECT_THAT(outcome.out, HasSubstr("span      unknown, since no record has a time\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nread        4096\n"));
}

TEST_F(Replay, SaysWhichMetricsTheCatalogHasNoEventsFor) {
  write_file(dir / "other", "virtio_blk_handle_read(uint64_t nsectors) \"nsectors %\"PRIu64\"\"\n");
  write_file(dir / "a.log", "virtio_blk_handle_read nsectors 8\n");

  const auto outcome = run_qemon({"replay", dir / "a.log", "--trace-events", dir / "other",
                                  "--pack", dir / "disk.yaml", "-o", "json"});

  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("qemon: pack disk: 1 metric left out, since " + dir / "other" +
                                     " has no such events: disk_seconds\n"));
}

TEST_F(Replay, RefusesArgumentsThatMakeNoSense) {
  write_file(dir / "a.log", begin(0, 1));
  write_file(dir / "bad.yaml", "version: 1\npack: bad\nhelp: A test.\nmetric: []\n");
  const auto expect = [&](const std::vector<std::string>& arguments, int status,
                          const std::string& error) {
    const auto outcome = run(arguments);
    EXPECT_EQ(outcome.status, status);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(error));
  };

  expect({}, 2, "qemon: FILE is required: see 'qemon replay --help'\n");
  expect({"-", "-"}, 2,
         "qemon: - is given more than once, but standard input can be read only once\n");
  expect({"a.log", "--pack", "virtio-blok"}, 2,
         "qemon: --pack virtio-blok: there is no pack virtio-blok: did you mean virtio-blk?\n");
  expect({"a.log", "--pack", "disk.yaml", "--pack", "code.yaml"}, 2,
         "qemon: --pack code cannot be combined with disk, since it reads logs of -d exec and "
         "-d cpu: replay them one by one\n");
  expect({"a.log", "--output", "xml"}, 2, "xml not in {table,prometheus,json}");
  expect({"a.log", "--vm", ""}, 2, "qemon: --vm: is empty");
  expect({"a.log", "--pack", "bad.yaml"}, 1, dir / "bad.yaml" + ":");
  const auto none = run_qemon({"replay", dir / "a.log", "--trace-events", dir / "no-catalog"});
  EXPECT_EQ(none.status, 1);
  EXPECT_EQ(none.err,
            "qemon: --trace-events: " + dir / "no-catalog" + ": No such file or directory\n");
}

TEST_F(Replay, HasHelp) {
  const auto outcome = run_qemon({"replay", "--help"});

  EXPECT_EQ(outcome.status, 0);
  for (const char* const part : {"FILE", "--trace-events", "--pack", "--vm", "prometheus", "gzip"})
    EXPECT_THAT(outcome.out, HasSubstr(part));
}

}  // namespace
}  // namespace qemon::cli
