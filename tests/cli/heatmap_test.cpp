#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>
#include <zlib.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/app.hpp"
#include "plugin/shared_figures.hpp"
#include "tests/cli/fake_daemon.hpp"
#include "tests/support/files.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/trace/simple_trace.hpp"

namespace qemon::cli {
namespace {

using test::Outcome;
using test::run_qemon;
using test::SimpleTrace;
using test::TempDir;
using test::u64s;
using test::write_file;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Json = nlohmann::json;

std::string block(const std::string& counter) {
  return "Trace 0: 0x7f33e8000100 [0000000000000000/" + counter + "/0040c0b3/00000200] \n";
}

std::string dump(const std::string& counter) {
  return "RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000000 RDX=0000000000000000\n"
         "RIP=" +
         counter + " RFL=00000202 [-------] CPL=3 II=0 A20=1 SMM=0 HLT=0\n";
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

/// 3 pages from 0x4001d8 to 0x461f50.
std::string some_blocks() {
  return repeated(block("0000000000401000"), 90) + repeated(block("00000000004001d8"), 8) +
         block("0000000000401010") + block("0000000000461f50");
}

std::string plugin_file(std::uint32_t level, const std::vector<plugin::Block>& blocks) {
  plugin::Header header;
  header.magic = plugin::file_magic;
  header.version = plugin::layout_version;
  header.vcpu_slots = 1;
  header.vcpus_offset = sizeof header;
  header.blocks_offset = sizeof header + sizeof(plugin::Vcpu);
  header.block_capacity = header.block_count = blocks.size();
  header.level = header.wanted_level = level;
  const plugin::Vcpu vcpu;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);  // NOLINT
  bytes.append(reinterpret_cast<const char*>(&vcpu), sizeof vcpu);           // NOLINT
  for (const auto& each : blocks)
    bytes.append(reinterpret_cast<const char*>(&each), sizeof each);  // NOLINT
  return bytes;
}

class Heatmap : public testing::Test {
 protected:
  /// Of a file of that name in the directory, which is made.
  [[nodiscard]] Outcome run(std::string_view content, std::vector<std::string> options = {}) const {
    write_file(dir / "a.log", content);
    options.insert(options.begin(), {"heatmap", dir / "a.log"});
    return run_qemon(options);
  }
  [[nodiscard]] Json run_json(std::string_view content,
                              std::vector<std::string> options = {}) const {
    options.insert(options.end(), {"--output", "json"});
    const auto outcome = run(content, options);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return Json::parse(outcome.out);
  }
  void expect_failure(std::string_view content, const std::string& why) const {
    test::expect(run(content), 1, "", "qemon: " + dir / "a.log" + ": " + why + "\n");
  }

  TempDir dir;
};

constexpr const char* needed =
    "give a log of -d exec,nochain or -d cpu,nochain, or a trace with exec_tb";

TEST_F(Heatmap, ShowsALogOfBlocks) {
  const auto outcome = run(some_blocks());

  test::expect(
      outcome, 0,
      "source    " + dir / "a.log" +
          "\n"
          "samples   100 lines of -d exec\n"
          "active    3 pages from 0x4001d8 to 0x461f50, of 4 KiB each\n"
          "hottest   0x401000, 90 times, 90.0 %\n"
          "\n"
          "          +0              +0x10000        +0x20000        +0x30000\n"
          "0x400000  +@..............................................................\n"
          "0x440000  .................................:..............................\n"
          "\n"
          "scale     . none  : 1  - 2  = 4  + 6  * 10  # 17  % 30  @ 52 or more samples in a cell\n"
          "cell      a page of 4 KiB; a row is 256 KiB\n",
      "");
}

TEST_F(Heatmap, ListsTheMostFrequentProgramCounters) {
  const auto outcome = run(some_blocks(), {"--top", "3"});

  EXPECT_THAT(outcome.out, HasSubstr("\n\nPROGRAM COUNTER  COUNT   SHARE\n"
                                     "0x401000            90  90.0 %\n"
                                     "0x4001d8             8   8.0 %\n"
                                     "0x401010             1   1.0 %\n\n"));
}

TEST_F(Heatmap, TellsEverythingToPrograms) {
  const Json json = run_json(some_blocks(), {"--top", "2"});

  EXPECT_EQ(json["source"], dir / "a.log");
  EXPECT_EQ(json["kind"], "exec-log");
  EXPECT_EQ(json["samples"], 100);
  EXPECT_EQ(json["samples_of"], "lines of -d exec");
  EXPECT_EQ(json["page_bytes"], 4096);
  EXPECT_EQ(json["active_pages"], 3);
  EXPECT_EQ(json["lowest"], "0x4001d8");
  EXPECT_EQ(json["highest"], "0x461f50");
  EXPECT_EQ(json["beyond_pages"], 0);
  EXPECT_EQ(json["top"].dump(), R"([{"address":"0x401000","count":90,"error":0},)"
                                R"({"address":"0x4001d8","count":8,"error":0}])");
  EXPECT_EQ(json["pages"].dump(),
            R"([{"address":"0x400000","count":8},{"address":"0x401000","count":91},)"
            R"({"address":"0x461000","count":1}])");
}

TEST_F(Heatmap, CountsABlockWithALineAndADumpOnce) {
  const std::string both = block("0000000000401000") + dump("0000000000401000");

  EXPECT_EQ(run_json(both + both)["samples_of"], "lines of -d exec, each with a register dump");
  EXPECT_EQ(run_json(both + both)["samples"], 2);
  EXPECT_EQ(run_json(both + dump("0000000000401000"))["samples_of"],
            "lines of -d exec; 2 register dumps beside them left out");
}

TEST_F(Heatmap, CountsRegisterDumps) {
  const Json json = run_json(repeated(dump("0000000000401000"), 3000) + dump("00000000004001d8"));

  EXPECT_EQ(json["kind"], "cpu-log");
  EXPECT_EQ(json["samples"], 3001);
  EXPECT_EQ(json["lowest"], "0x4001d8");
}

TEST_F(Heatmap, CountsRecordsOfALogThatIsNoExecLog) {
  const std::string other = "9@1.000001:virtio_notify vdev 0x1 vq 0x2\n";
  const std::string records =
      "9@1.000002:exec_tb tb:0x7f759d200040 pc=0xfffffff0\n"
      "9@1.000003:exec_tb_exit tb:0x7f759d200040 flags=0x0\n"
      "9@1.000004:exec_tb_nocache tb:0x7f759d200040 pc=0xfe05b\n";

  const Json json = run_json(other + records + other + records);

  EXPECT_EQ(json["kind"], "exec_tb");
  EXPECT_EQ(json["samples"], 4);
  EXPECT_EQ(json["samples_of"], "records of exec_tb, and 2 of exec_tb_exit");
  EXPECT_EQ(json["lowest"], "0xfe05b");
  EXPECT_EQ(json["highest"], "0xfffffff0");
}

TEST_F(Heatmap, PrefersTheLinesOfALogThatHasBoth) {
  const std::string both = "exec_tb tb:0x7f759d200040 pc=0xfffffff0\n" + block("0000000000401000");

  EXPECT_EQ(run_json(dump("0000000000000010") + both + both)["pages"].dump(),
            R"([{"address":"0x401000","count":2}])");
}

TEST_F(Heatmap, ReadsSimpleTraces) {
  SimpleTrace trace;
  trace.header().mapping(0, "exec_tb").mapping(1, "exec_tb_exit").mapping(2, "other");
  trace.event(2, 1, u64s({1}));
  for (std::uint64_t time = 2; time < 12; ++time) trace.event(0, time, u64s({0x7f00, 0x401000}));
  trace.event(0, 12, u64s({0x7f00, 0xffffffff81000010})).event(1, 13, u64s({0x7f00, 0}));
  trace.dropped(14, 7);

  const auto outcome = run(trace.bytes);

  EXPECT_EQ(outcome.err, "qemon: " + dir / "a.log" + ": QEMU dropped 7 events\n");
  EXPECT_THAT(outcome.out, HasSubstr("samples   11 records of exec_tb, and 1 of exec_tb_exit\n"
                                     "active    2 pages from 0x401000 to 0xffffffff81000010, of"));
  EXPECT_THAT(outcome.out, HasSubstr("\n0x400000            .@.............................."
                                     "\n                    ~ 16 EiB without samples"
                                     "\n0xffffffff81000000  :...............................\n"));
}

TEST_F(Heatmap, ReadsGzip) {
  const auto path = dir / "a.gz";
  const gzFile file = gzopen(path.c_str(), "wb");
  const std::string content = some_blocks();
  gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  gzclose(file);

  const auto outcome = run_qemon({"heatmap", path});

  EXPECT_THAT(outcome.out, StartsWith("source    " + path + " (gzip)\nsamples   100 lines"));
}

TEST_F(Heatmap, ReadsThePluginsFile) {
  std::vector<plugin::Block> blocks(3);
  blocks[0].address = 0x401000;
  blocks[0].executions = 1;
  blocks[1].address = 0x40100e;
  blocks[1].executions = 100'000;
  blocks[2].address = 0x999999;

  const auto outcome = run(plugin_file(plugin::level_blocks, blocks));

  EXPECT_THAT(outcome.out,
              HasSubstr("samples   100001 executions of 2 blocks, counted by the TCG plugin\n"
                        "active    1 page from 0x401000 to 0x40100e, of 4 KiB each\n"
                        "hottest   0x40100e, 100000 times, 100.0 %\n"));
}

TEST_F(Heatmap, SaysWhyThereIsNothingToShow) {
  expect_failure("", "is empty: " + std::string(needed));
  expect_failure("hello\n", "tells of no executed code: " + std::string(needed));
  expect_failure(
      "exec_tb_exit tb:0x7f759d200040 flags=0x0\n",
      "has no program counters, since exec_tb_exit does not tell them: " + std::string(needed));
  expect_failure(plugin_file(plugin::level_count, {}),
                 "has no blocks, since the plugin counts at level count: start QEMU with "
                 "level=blocks, or use qemon plugin level VM blocks");
  expect_failure(plugin_file(plugin::level_all, {}), "no block has been executed yet");
  test::expect(run_qemon({"heatmap", dir / "none"}), 1, "",
               "qemon: " + dir / "none" +
                   ": No such file or directory; name a trace file, or - for standard input\n");
}

TEST_F(Heatmap, TellsRangesOfAnotherSizeApart) {
  EXPECT_EQ(run_json(some_blocks(), {"--page", "16"})["pages"].dump(),
            R"([{"address":"0x4001d0","count":8},{"address":"0x401000","count":90},)"
            R"({"address":"0x401010","count":1},{"address":"0x461f50","count":1}])");
  EXPECT_EQ(run_json(some_blocks(), {"--page", "64K"})["pages"].dump(),
            R"([{"address":"0x400000","count":99},{"address":"0x460000","count":1}])");
}

TEST_F(Heatmap, RefusesWrongUsage) {
  const auto refused = [](std::vector<std::string> arguments, const std::string& why) {
    arguments.insert(arguments.begin(), "heatmap");
    const auto outcome = run_qemon(arguments);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(why));
  };

  refused({}, "give either a file or a VM: see 'qemon heatmap --help'");
  refused({"a.log", "--vm", "web1"}, "give either a file or a VM");
  refused({"--vm", "web1", "--watch"},
          "--watch draws on a terminal, which the output is not: leave it out");
  refused({"--vm", "web1", "--watch", "--png", "a.png"}, "--png");
  refused({"a.log", "--page", "100"},
          "--page 100: must be a power of two, for instance 4096, 64K or 2M");
  refused({"a.log", "--page", "0"}, "must be a power of two");
  refused({"a.log", "--page", "many"}, "--page many: must be a power of two");
  refused({"a.log", "--page", "2E"}, "--page 2E: must be a power of two");
  refused({"a.log", "--color", "pink"}, "--color");
  refused({"a.log", "--top", "-1"}, "--top");
}

TEST_F(Heatmap, SaysWhichFileOfSymbolsIsOfNoUse) {
  const auto missing = run(some_blocks(), {"--elf", dir / "none"});
  const auto other = run(some_blocks(), {"--elf", "/proc/self/exe@0x7000000000000000"});

  test::expect(missing, 1, "", "qemon: --elf " + dir / "none" + ": No such file or directory\n");
  EXPECT_EQ(other.status, 0);
  EXPECT_EQ(other.err,
            "qemon: /proc/self/exe@0x7000000000000000: names none of the program counters: give "
            "the address where it is loaded as FILE@0xADDRESS, or the file as it was before it was "
            "stripped\n");
}

/// qemon with these arguments, on a terminal of so many columns, in these surroundings.
Outcome run_on_terminal(std::vector<const char*> arguments,
                        std::map<std::string, std::string> variables, std::size_t columns = 80) {
  Environment environment;
  environment.variable = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  environment.exists = [](const std::string&) { return true; };
  environment.out_is_terminal = true;
  environment.columns = columns;
  std::ostringstream out, err;
  arguments.insert(arguments.begin(), {"qemon", "heatmap"});
  const int status =
      run(static_cast<int>(arguments.size()), arguments.data(), environment, out, err);
  return {status, out.str(), err.str()};
}

/// What it shows of a file.
std::string on_terminal(const std::string& path, std::map<std::string, std::string> variables,
                        std::size_t columns = 80) {
  const auto outcome = run_on_terminal({path.c_str()}, std::move(variables), columns);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return outcome.out;
}

TEST_F(Heatmap, FilesAreNotWatched) {
  test::expect(run_on_terminal({"a.log", "--watch"}, {}), 2, "",
               "qemon: --watch is for VMs, and a.log is a file: a VM is given by --vm\n");
}

TEST_F(Heatmap, HasTheColoursOfItsTerminal) {
  const auto path = dir / "a.log";
  write_file(path, some_blocks());
  const std::string most = "\x1b[48;2;253;231;37m ", most_of_256 = "\x1b[48;5;220m ";

  EXPECT_THAT(on_terminal(path, {{"COLORTERM", "truecolor"}}), HasSubstr(most + "\x1b[0m."));
  EXPECT_THAT(on_terminal(path, {{"COLORTERM", "24bit"}}), HasSubstr(most));
  EXPECT_THAT(on_terminal(path, {{"TERM", "xterm-256color"}}), HasSubstr(most_of_256));
  for (const auto& plain : {std::pair{"NO_COLOR", "1"}, {"TERM", "dumb"}})
    EXPECT_THAT(on_terminal(path, {plain, {"COLORTERM", "truecolor"}}), Not(HasSubstr("\x1b")));
}

TEST_F(Heatmap, HasColoursElsewhereOnlyIfTheyAreAskedFor) {
  EXPECT_THAT(run(some_blocks()).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(run(some_blocks(), {"--color", "never"}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(run(some_blocks(), {"--color", "256"}).out, HasSubstr("\x1b[48;5;"));
  EXPECT_THAT(run(some_blocks(), {"--color", "truecolor"}).out,
              HasSubstr("\n          1                       10                    91\n"));
}

TEST_F(Heatmap, IsAsWideAsTheTerminal) {
  const auto path = dir / "a.log";
  write_file(path, some_blocks());
  const auto cells = [&](std::size_t columns) {
    const std::string out = on_terminal(path, {{"NO_COLOR", "1"}}, columns);
    const auto row = out.find("0x400000  ") + 10;
    return out.find('\n', row) - row;
  };

  EXPECT_EQ(cells(80), 64U);
  EXPECT_EQ(cells(200), 128U);
  EXPECT_EQ(cells(60), 32U);
  EXPECT_EQ(cells(1), 8U);
}

TEST_F(Heatmap, DrawsSvgWithTitles) {
  const auto outcome = run(some_blocks(), {"--svg", dir / "map.svg"});

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "qemon: heat map in " + dir / "map.svg" + "\n");
  const auto parsed = test::run_program(
      {"python3", "-c",
       "import sys, xml.etree.ElementTree as e\n"
       "for each in e.parse(sys.argv[1]).getroot().iter('{http://www.w3.org/2000/svg}title'):\n"
       "  print(each.text)",
       dir / "map.svg"},
      dir.path().string());
  EXPECT_EQ(parsed.out + parsed.err,
            "0x400000 to 0x400fff: 8 samples, 8.0 %; most often at 0x4001d8\n"
            "0x401000 to 0x401fff: 91 samples, 91.0 %; most often at 0x401000\n"
            "0x461000 to 0x461fff: 1 sample, 1.0 %; most often at 0x461f50\n");
  EXPECT_THAT(test::read_file(dir / "map.svg"),
              HasSubstr(">100 lines of -d exec; 3 pages from 0x4001d8 to 0x461f50</text>"));
}

TEST_F(Heatmap, DrawsPng) {
  const auto outcome = run(some_blocks(), {"--png", dir / "map.png"});

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "qemon: heat map in " + dir / "map.png" + "\n");
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  ASSERT_NE(png_image_begin_read_from_file(&image, (dir / "map.png").c_str()), 0) << image.message;
  image.format = PNG_FORMAT_RGB;
  std::vector<unsigned char> pixels(PNG_IMAGE_SIZE(image));
  ASSERT_NE(png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr), 0) << image.message;
  std::map<std::string, int> colours;
  for (std::size_t at = 0; at < pixels.size(); at += 3) {
    std::ostringstream colour;
    colour << int{pixels[at]} << ' ' << int{pixels[at + 1]} << ' ' << int{pixels[at + 2]};
    ++colours[colour.str()];
  }
  // Cells of 22 times 24 pixels: 125 without samples and one in the legend, and the busiest, whose
  // colour is also the end of the scale (4 times 24).
  EXPECT_EQ(colours["236 236 236"], 126 * 22 * 24);
  EXPECT_EQ(colours["253 231 37"], 22 * 24 + 4 * 24);
  EXPECT_GT(colours["34 34 34"], 1000);  // Text.
}

TEST_F(Heatmap, SaysWhichPictureCannotBeWritten) {
  for (const char* const option : {"--svg", "--png"}) {
    const auto outcome = run(some_blocks(), {option, dir / "none/map"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.out, HasSubstr("samples   100 lines"));
    EXPECT_THAT(outcome.err, StartsWith("qemon: " + dir / "none/map" + ": "));
  }
  const auto full = run(some_blocks(), {"--png", "/dev/full"});
  EXPECT_EQ(full.status, 1);
  EXPECT_THAT(full.err, StartsWith("qemon: /dev/full: "));
}

}  // namespace
}  // namespace qemon::cli
