#include "exporters/pack_check.hpp"

#include <gtest/gtest.h>

#include "tests/exporters/pack_run.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::exporters {
namespace {

using test::pack_text;

NamedCatalog named(std::string name, std::string_view text) {
  return {std::move(name),
          std::make_shared<const trace::Catalog>(trace::Catalog::parse(text).value())};
}

std::string to_text(const PackCheck& check) {
  std::string text;
  for (const auto& line : check.mistakes.lines()) text += line + "\n";
  for (const auto& line : check.notes) text += "note: " + line + "\n";
  return text;
}

std::string check(std::string_view rules, const std::vector<NamedCatalog>& catalogs) {
  const auto pack = test::parse(pack_text(rules));
  return pack ? to_text(check_pack(*pack, catalogs)) : "no pack";
}
std::string check(std::string_view rules) {
  return check(rules, {named("catalog", test::test_catalog)});
}

TEST(PackCheck, HasNothingToSayAboutAPackThatFits) {
  EXPECT_EQ(
      check("  - {counter: a_total, help: A., events: [[newer, line], bare]}\n"
            "  - {latency: b_seconds, help: B., begin: disk_read, end: disk_done, key: dev}\n"),
      "");
}

TEST(PackCheck, NamesUnknownEventsAndWhatTheyMayBeMeantToBe) {
  EXPECT_EQ(
      check("  - counter: a_total\n    help: A.\n    events:\n      - line\n      - disk_raed\n"
            "      - [whatever, other]\n"),
      "x.yaml:9: events: there is no event disk_raed in catalog: did you mean disk_read?\n"
      "x.yaml:10: events: there is no event whatever or other in catalog; of another QEMU, "
      "give its --trace-events\n");
}

TEST(PackCheck, NamesTheKeyOfTheEvent) {
  const auto text = check(
      "  - latency: a_seconds\n    help: A.\n    begin: disk_raed\n    end: disk_doen\n"
      "    key: dev\n");

  EXPECT_NE(text.find("x.yaml:7: begin: there is no event disk_raed in catalog: did you mean "
                      "disk_read?\n"
                      "x.yaml:8: end: there is no event disk_doen in catalog: did you mean "
                      "disk_done?\n"),
            std::string::npos)
      << text;
}

TEST(PackCheck, NamesUnknownArguments) {
  EXPECT_EQ(check("  - counter: a_total\n    help: A.\n    events: disk_read\n    add: sectr\n"),
            "x.yaml:8: add: event disk_read has no argument \"sectr\": did you mean sector? It has "
            "dev, sector, n\n");
  EXPECT_EQ(
      check("  - counter: a_total\n    help: A.\n    events: line\n    labels:\n"
            "      x: {argument: irqs}\n"),
      "x.yaml:9: labels: x: event line has no argument \"irqs\": did you mean irq? It has irq, "
      "level\n");
}

TEST(PackCheck, SaysWhatTheManualShows) {
  const std::vector catalogs{
      named("catalog",
            "virtio_blk_handle_read(void *vdev, void *req, uint64_t sector, size_t nsectors) "
            "\"vdev %p req %p sector %\"PRIu64\" nsectors %zu\"\n")};

  EXPECT_EQ(check("  - counter: a_total\n    help: A.\n    events: virtio_blk_handle_read\n    # A "
                  "comment.\n    add: nsector\n",
                  catalogs),
            "x.yaml:9: add: event virtio_blk_handle_read has no argument \"nsector\": did you mean "
            "nsectors? It has vdev, req, sector, nsectors\n");
}

TEST(PackCheck, NotesRulesThatAreLeftOutThoughAnotherOneMakesTheMetric) {
  const std::vector catalogs{named("old", "line(int irq) \"irq %d\"\n"),
                             named("new", "wire(int irq) \"irq %d\"\n")};

  EXPECT_EQ(check("  - {counter: a_total, help: A., events: line}\n"
                  "  - {counter: a_total, events: wire}\n",
                  catalogs),
            "note: x.yaml:6: a_total: this rule is left out: old lacks the event wire\n"
            "note: x.yaml:5: a_total: this rule is left out: new lacks the event line\n");
}

TEST(PackCheck, TellsWhichCatalogARuleDoesNotFit) {
  const std::vector catalogs{named("old", "line(int number) \"number %d\"\n"),
                             named("new", "line(int irq) \"irq %d\"\n")};

  EXPECT_EQ(check("  - {counter: a_total, help: A., events: line, add: irq}\n", catalogs),
            "x.yaml:5: add: event line has no argument \"irq\": It has number (old)\n");
}

TEST(PackCheck, TellsARuleThatNeedsAnEventThatIsCompiledOut) {
  EXPECT_EQ(check("  - {counter: a_total, help: A., events: off}\n"),
            "note: x.yaml:5: a_total: this rule is left out: catalog lacks the event off\n");
}

TEST(PackCheck, ChecksPacksForLogsOfExecAgainstTheirOwnEvents) {
  const auto check_exec = [](std::string_view event) {
    const auto pack = test::parse(
        "version: 1\npack: exec\nhelp: A.\ndecoder: exec-log\nmetrics:\n"
        "  - {counter: a_total, help: A., events: " +
        std::string(event) + "}\n");
    return to_text(check_pack(*pack, {}));
  };

  EXPECT_EQ(check_exec("exec_log_block"), "");
  EXPECT_NE(check_exec("line").find("x.yaml:6: events: there is no event line in logs of -d exec"),
            std::string::npos);
}

TEST(PackCheck, ChecksAFile) {
  test::TempDir dir;
  test::write_file(dir / "a.yaml", pack_text("  - {counter: a_total, help: A., events: lin}\n"));
  test::write_file(dir / "b.yaml", "version: 1\n");
  const std::vector catalogs{named("catalog", test::test_catalog)};

  const auto unknown = check_pack_file(dir / "a.yaml", catalogs);
  const auto broken = check_pack_file(dir / "b.yaml", catalogs);
  const auto missing = check_pack_file(dir / "c.yaml", catalogs);

  EXPECT_EQ(unknown.mistakes.lines().front(),
            (dir / "a.yaml") + ":5: events: there is no event lin in catalog: did you mean line?");
  EXPECT_EQ(broken.mistakes.size(), 3U);
  EXPECT_EQ(to_text(missing), (dir / "c.yaml") + ": cannot be read: No such file or directory\n");
}

TEST(PackCheck, LoadsTheCatalogsThatItIsGiven) {
  test::TempDir dir;
  test::write_file(dir / "one", test::test_catalog);

  const auto catalogs = load_catalogs({dir / "one"});
  const auto missing = load_catalogs({dir / "one", dir / "two"});

  ASSERT_TRUE(catalogs);
  EXPECT_EQ(catalogs->front().name, dir / "one");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().detail.find(dir / "two"), std::string::npos) << missing.error().detail;
}

}  // namespace
}  // namespace qemon::exporters
