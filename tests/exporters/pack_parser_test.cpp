#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "exporters/pack.hpp"
#include "tests/exporters/pack_run.hpp"
#include "tests/support/files.hpp"

namespace qemon::exporters {
namespace {

using test::mistakes_in;
using test::pack_text;

TEST(PackParser, ReadsEverythingThatARuleCanSay) {
  const auto pack = test::parse(
      "version: 1\n"
      "pack: my-disk-2\n"
      "help: All of it.\n"
      "decoder: exec-log\n"
      "metrics:\n"
      "  - latency: qemu_disk_duration_seconds\n"
      "    help: How long.\n"
      "    begin: [[new_read, old_read], write]\n"
      "    end: done\n"
      "    key: [dev, req + 1]\n"
      "    when: n > 0\n"
      "    end_when: status == 0\n"
      "    buckets: [0.001, 1]\n"
      "    timeout: 500ms\n"
      "    in_flight: 7\n"
      "    limit: 20\n"
      "    labels:\n"
      "      operation: {event: {new_read: read, old_read: read, write: write}}\n"
      "      status: {argument: status, from: end, decode: {map: {0x0: ok}, default: bad}}\n");

  ASSERT_TRUE(pack);
  EXPECT_EQ(pack->name, "my-disk-2");
  EXPECT_EQ(pack->help, "All of it.");
  EXPECT_EQ(pack->file, "x.yaml");
  EXPECT_TRUE(pack->exec_log);
  const auto& rule = pack->rules.at(0);
  EXPECT_EQ(rule.metric, "qemu_disk_duration_seconds");
  EXPECT_EQ(rule.help, "How long.");
  EXPECT_EQ(rule.line, 6);
  EXPECT_EQ(rule.line_of("key"), 10);
  EXPECT_EQ(rule.line_of("keep"), 6);
  EXPECT_EQ(rule.shape.kind, MetricKind::latency);
  EXPECT_EQ(rule.shape.unit, Unit::nanoseconds);
  EXPECT_EQ(rule.shape.limit, 20U);
  EXPECT_EQ(rule.shape.buckets.bounds, (std::vector<std::int64_t>{1'000'000, 1'000'000'000}));
  EXPECT_EQ(rule.shape.labels, (std::vector<std::string>{"operation", "status"}));
  EXPECT_EQ(rule.events.at(0).names, (std::vector<std::string>{"new_read", "old_read"}));
  EXPECT_EQ(rule.events.at(1).names, std::vector<std::string>{"write"});
  EXPECT_EQ(rule.ends.at(0).names, std::vector<std::string>{"done"});
  EXPECT_EQ(rule.key.at(1).text(), "req + 1");
  EXPECT_EQ(rule.when->text(), "n > 0");
  EXPECT_EQ(rule.end_when->text(), "status == 0");
  EXPECT_EQ(rule.timeout_ns, 500'000'000);
  EXPECT_EQ(rule.in_flight_max, 7U);
  EXPECT_TRUE(rule.labels.at(1).from_end);
  EXPECT_EQ(rule.labels.at(1).map_default, "bad");
}

TEST(PackParser, FillsInWhatIsLeftOut) {
  const auto pack =
      test::parse(pack_text("  - counter: c_total\n"
                            "    help: C.\n"
                            "    events: e\n"
                            "  - latency: l_seconds\n"
                            "    help: L.\n"
                            "    begin: b\n"
                            "    end: e\n"
                            "    key: k\n"
                            "  - heatmap: h_total\n"
                            "    help: H.\n"
                            "    events: e\n"
                            "    address: a\n"
                            "  - topk: t\n"
                            "    help: T.\n"
                            "    events: e\n"
                            "    value: a\n"));

  ASSERT_TRUE(pack);
  EXPECT_FALSE(pack->exec_log);
  EXPECT_EQ(pack->rules.at(0).value.text(), "1");
  EXPECT_EQ(pack->rules.at(0).shape.limit, 200U);
  EXPECT_EQ(pack->rules.at(1).timeout_ns, 30'000'000'000);
  EXPECT_EQ(pack->rules.at(1).in_flight_max, 65'536U);
  EXPECT_EQ(pack->rules.at(1).shape.buckets, default_latency_buckets());
  EXPECT_EQ(pack->rules.at(2).shape.range_shift, 12U);
  EXPECT_EQ(pack->rules.at(2).shape.ranges, 50U);
  EXPECT_EQ(pack->rules.at(2).shape.labels, std::vector<std::string>{"address"});
  EXPECT_EQ(pack->rules.at(3).shape.labels, std::vector<std::string>{"value"});
  EXPECT_TRUE(pack->rules.at(3).shape.hex);
  EXPECT_EQ(pack->rules.at(3).shape.top, 20U);
  EXPECT_EQ(pack->rules.at(3).shape.capacity, 1000U);
}

TEST(PackParser, WantsAMap) {
  EXPECT_EQ(mistakes_in("- version: 1\n"),
            "x.yaml:1: is no pack: it begins with version: 1 and pack: NAME\n");
  EXPECT_EQ(mistakes_in("hello\n"),
            "x.yaml:1: is no pack: it begins with version: 1 and pack: NAME\n");
  EXPECT_EQ(mistakes_in(""), "x.yaml: is empty\n");
}

TEST(PackParser, TellsEverythingThatIsMissing) {
  EXPECT_EQ(mistakes_in("{}\n"),
            "x.yaml:1: version: must be 1, the only one there is\n"
            "x.yaml:1: pack: give a name of small letters, digits and -, for instance my-disk\n"
            "x.yaml:1: help: say in a sentence what the pack is for\n"
            "x.yaml:1: metrics: write a list of 1 to 500 rules\n");
}

TEST(PackParser, RefusesOtherVersionsNamesAndDecoders) {
  EXPECT_EQ(mistakes_in("version: 2\n"
                        "pack: My Disk\n"
                        "help:\n"
                        "decoder: log\n"
                        "metrics: []\n"),
            "x.yaml:1: version: must be 1, the only one there is\n"
            "x.yaml:2: pack: give a name of small letters, digits and -, for instance my-disk\n"
            "x.yaml:3: help: say in a sentence what the pack is for\n"
            "x.yaml:4: decoder: write exec-log, or leave it out\n"
            "x.yaml:5: metrics: write a list of 1 to 500 rules\n");
}

TEST(PackParser, KnowsWhatAPackMayBeCalled) {
  for (const std::string_view good : {"a", "virtio-blk", "9p", "a-", "x2"})
    EXPECT_TRUE(is_pack_name(good)) << good;
  for (const std::string_view bad : {"", "-a", "A", "a_b", "a b", "a/b", "../a", "a.b", "\xc3\xa9"})
    EXPECT_FALSE(is_pack_name(bad)) << bad;
  EXPECT_TRUE(is_pack_name(std::string(64, 'a')));
  EXPECT_FALSE(is_pack_name(std::string(65, 'a')));
}

TEST(PackParser, NamesUnknownKeysAndWhatTheyMayBeMeantToBe) {
  EXPECT_EQ(mistakes_in("versoin: 1\nversion: 1\npack: a\nhelp: A.\nmetrics:\n"
                        "  - counter: a_total\n    help: A.\n    events: e\n    lables: {}\n"),
            "x.yaml:1: versoin: there is no such key here: did you mean version?\n"
            "x.yaml:9: lables: there is no such key here: did you mean labels?\n");
  EXPECT_EQ(
      mistakes_in(
          pack_text("  - counter: a_total\n    help: A.\n    events: e\n    colour: red\n")),
      "x.yaml:8: colour: there is no such key here: the keys are counter, help, events, when, "
      "labels, limit, unit, add\n");
}

TEST(PackParser, WantsAKind) {
  EXPECT_EQ(
      mistakes_in(pack_text("  - countr: a_total\n")),
      "x.yaml:5: metrics: the kind is missing: counter, gauge, histogram, latency, heatmap or "
      "topk\n");
  EXPECT_EQ(mistakes_in(pack_text("  - a_total\n")),
            "x.yaml:5: metrics: each begins with its kind, for instance counter: NAME\n");
  EXPECT_EQ(mistakes_in(pack_text("  - ~\n")),
            "x.yaml:5: metrics: each begins with its kind, for instance counter: NAME\n");
  EXPECT_EQ(mistakes_in(pack_text("  counter: a_total\n")),
            "x.yaml:5: metrics: write a list of 1 to 500 rules\n");
}

TEST(PackParser, TakesAtMostFiveHundredRules) {
  std::string rules;
  for (int i = 0; i < 500; ++i) rules += "  - {counter: a_total, help: A., events: e}\n";

  EXPECT_EQ(mistakes_in(pack_text(rules)), "");
  EXPECT_EQ(mistakes_in(pack_text(rules + "  - {counter: a_total, help: A., events: e}\n")),
            "x.yaml:5: metrics: write a list of 1 to 500 rules\n");
}

TEST(PackParser, WantsHelpForEveryMetricOnce) {
  EXPECT_EQ(mistakes_in(pack_text("  - counter: a_total\n    events: e\n")),
            "x.yaml:5: a_total: help: is missing: say in a sentence what it is\n");
  EXPECT_EQ(mistakes_in(pack_text("  - counter: a_total\n    help:\n    events: e\n")),
            "x.yaml:6: help: should be a text\n");
  EXPECT_EQ(mistakes_in(pack_text("  - counter: a_total\n    help: A.\n    events: e\n"
                                  "  - counter: a_total\n    events: f\n")),
            "");
}

constexpr std::string_view first_rule =
    "  - counter: a_total\n"
    "    help: A.\n"
    "    events: e\n"
    "    labels: {x: \"1\", y: \"2\"}\n";

TEST(PackParser, PutsLabelsOfFurtherRulesInTheOrderOfTheFirst) {
  const auto pack =
      test::parse(pack_text(std::string(first_rule) +
                            "  - {counter: a_total, events: f, labels: {y: \"3\", x: \"4\"}}\n"));

  ASSERT_TRUE(pack);
  EXPECT_EQ(pack->rules.at(1).shape, pack->rules.at(0).shape);
  EXPECT_EQ(pack->rules.at(1).labels.at(0).constant, "4");
  EXPECT_EQ(pack->rules.at(1).labels.at(1).constant, "3");
}

TEST(PackParser, WantsRulesOfOneMetricToAgreeInKindAndLabels) {
  const std::string first(first_rule);

  EXPECT_EQ(mistakes_in(pack_text(first + "  - counter: a_total\n    events: f\n")),
            "x.yaml:9: a_total: differs from line 5 in its labels: one metric has one set of them, "
            "here x, y\n");
  EXPECT_EQ(mistakes_in(pack_text(first + "  - heatmap: a_total\n    events: f\n    address: a\n")),
            "x.yaml:9: a_total: differs from line 5 in kind: one metric has one kind\n");
  EXPECT_EQ(mistakes_in(pack_text("  - {counter: a_total, help: A., events: e}\n"
                                  "  - {counter: a_total, events: e, labels: {x: y}}\n")),
            "x.yaml:6: a_total: differs from line 5 in its labels: one metric has one set of them, "
            "here none\n");
}

TEST(PackParser, WantsRulesOfOneMetricToAgreeInTheRest) {
  const auto pair = [](std::string_view first, std::string_view second) {
    return mistakes_in(
        pack_text("  - {counter: a_seconds_total, help: A., events: e" + std::string(first) +
                  "}\n  - {counter: a_seconds_total, events: f" + std::string(second) + "}\n"));
  };
  const std::string differs =
      "x.yaml:6: a_seconds_total: differs from line 5 in its buckets, unit, limit or ranges: they "
      "must be the same\n";

  EXPECT_EQ(pair("", ""), "");
  EXPECT_EQ(pair(", unit: milliseconds", ", unit: milliseconds"), "");
  EXPECT_EQ(pair(", unit: milliseconds", ""), differs);
  EXPECT_EQ(pair(", limit: 5", ", limit: 5"), "");
  EXPECT_EQ(pair(", limit: 5", ", limit: 6"), differs);
  EXPECT_EQ(pair("", ", limit: 6"), differs);
}

TEST(PackParser, ALimitHoldsForTheFurtherRulesThatSayNone) {
  const auto pack =
      test::parse(pack_text("  - {counter: a_total, help: A., events: e, limit: 7}\n"
                            "  - counter: a_total\n    events: f\n"));

  ASSERT_TRUE(pack);
  EXPECT_EQ(pack->rules.at(1).shape.limit, 7U);
}

TEST(PackParser, ListsEachMetricOnce) {
  const auto pack =
      test::parse(pack_text("  - {counter: b_total, help: B., events: e}\n"
                            "  - {counter: a_total, help: A., events: e}\n"
                            "  - {counter: b_total, events: f}\n"));

  ASSERT_TRUE(pack);
  ASSERT_EQ(pack->metrics().size(), 2U);
  EXPECT_EQ(pack->metrics().at(0), &pack->rules.at(0));
  EXPECT_EQ(pack->metrics().at(1), &pack->rules.at(1));
}

TEST(PackParser, RepeatedKeysAndAnchorsAreMistakes) {
  EXPECT_EQ(mistakes_in(pack_text("  - counter: a_total\n    help: A.\n    events: e\n"
                                  "    events: f\n")),
            "x.yaml:8: events: is given twice\n");
  EXPECT_EQ(mistakes_in(pack_text("  - &x {counter: a_total, help: A., events: e}\n  - *x\n")),
            "x.yaml:5: anchors (&NAME) cannot be used here: write the value out\n"
            "x.yaml:6: aliases (*NAME) cannot be used here: write the value out\n");
}

TEST(PackParser, EachMistakeIsOneLine) {
  const std::string text = pack_text(
      "  - counter: \"a\\nb\"\n    help: A.\n    \"k\\ney\": 1\n    events: \"x\\ny\"\n"
      "    when: \"a\\n\\n$\"\n    labels: {\"l\\nm\": 1}\n");
  Mistakes mistakes("x.yaml");

  EXPECT_FALSE(parse_pack(text, mistakes));
  EXPECT_GE(mistakes.size(), 5U);
  for (const auto& line : mistakes.lines()) EXPECT_EQ(line.find('\n'), std::string::npos) << line;
}

TEST(PackParser, ReadsTheExamplesOfTheManual) {
  const std::string manual = test::read_file(QEMON_TEST_DATA "/../../docs/packs.md");
  const std::string open = "```yaml\n", close = "```\n";
  int examples = 0;

  for (auto at = manual.find(open); at != std::string::npos; at = manual.find(open, at)) {
    at += open.size();
    const auto text = manual.substr(at, manual.find(close, at) - at);
    EXPECT_EQ(mistakes_in(text), "") << text;
    ++examples;
  }

  EXPECT_GE(examples, 1);
}

TEST(PackParser, ReadsThePacksThatShip) {
  for (const auto& each : std::filesystem::directory_iterator(QEMON_TEST_DATA "/../../packs")) {
    if (each.path().extension() != ".yaml") continue;
    EXPECT_EQ(mistakes_in(test::read_file(each.path())), "") << each.path();
  }
}

// What a hand may do to a file: cut it, and change, lose or double characters.
TEST(PackParser, SurvivesDamage) {
  const std::string sound = test::read_file(QEMON_TEST_DATA "/../../packs/virtio-blk.yaml");
  std::mt19937 random(7);
  const std::string replacements = " \n\t:-[]{}&*!|>'\"%@`#,?~0x\x01\x80\xff";

  for (int i = 0; i < 1500; ++i) {
    std::string text = sound;
    for (auto changes = random() % 4 + 1; changes > 0; --changes) {
      const auto at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = replacements[random() % replacements.size()];
          break;
        case 1:
          text.erase(at, random() % 20);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 40));
          break;
        default:
          text.resize(at + 1);
      }
    }
    EXPECT_NE(mistakes_in(text), "no pack and no mistake") << text;
  }
}

std::string with_sample(std::string_view sample) {
  return "version: 1\npack: a\nhelp: A.\nsample: " + std::string(sample) +
         "\nmetrics:\n  - counter: a_total\n    help: What it is.\n    events: e\n";
}

TEST(PackParser, ReadsHowItsEventsAreSampled) {
  const auto pack = test::parse(with_sample("20ms/1s"));

  ASSERT_TRUE(pack);
  EXPECT_EQ(pack->sampling, (Sampling{std::chrono::milliseconds(20), std::chrono::seconds(1)}));
}

TEST(PackParser, SaysWhatIsWrongWithASample) {
  EXPECT_EQ(mistakes_in(with_sample("20ms")),
            "x.yaml:4: sample: is no sample: write how long in which time, for instance 20ms/1s\n");
  EXPECT_EQ(mistakes_in(with_sample("[1, 2]")),
            "x.yaml:4: sample: is no sample: write how long in which time, for instance 20ms/1s\n");
}

}  // namespace
}  // namespace qemon::exporters
