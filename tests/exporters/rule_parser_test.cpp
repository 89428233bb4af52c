// What parse_rule says of the rules of packs.
#include <gtest/gtest.h>

#include <sstream>

#include "tests/exporters/pack_run.hpp"
#include "tests/support/files.hpp"

namespace qemon::exporters {
namespace {

using test::mistakes_in;
using test::pack_text;

/// The mistakes of a pack with one rule: `first`, which is in line 5, help and `rest`.
std::string mistakes_of(std::string_view first, std::string_view rest = "") {
  std::string text = "  - " + std::string(first) + "\n    help: What it is.\n";
  text += rest;
  if (!rest.empty()) text += '\n';
  return mistakes_in(pack_text(text));
}

std::string counter(std::string_view rest) {
  return mistakes_of("counter: a_total", "    events: e\n" + std::string(rest));
}
std::string gauge(std::string_view rest) {
  return mistakes_of("gauge: a", "    events: e\n" + std::string(rest));
}
std::string histogram(std::string_view rest) {
  return mistakes_of("histogram: a", "    events: e\n" + std::string(rest));
}
std::string latency(std::string_view rest) {
  return mistakes_of("latency: a_seconds", "    begin: b\n" + std::string(rest) + "\n    end: e");
}
std::string heatmap(std::string_view rest) {
  return mistakes_of("heatmap: a_total", "    events: e\n" + std::string(rest));
}
std::string topk(std::string_view rest) {
  return mistakes_of("topk: a", "    events: e\n" + std::string(rest));
}

TEST(RuleParser, RefusesKeysOfOtherKinds) {
  EXPECT_EQ(counter("    value: a"),
            "x.yaml:8: value: there is no such key here: the keys are counter, help, events, when, "
            "labels, limit, unit, add\n");
  EXPECT_EQ(gauge("    value: a\n    add: b"),
            "x.yaml:9: add: there is no such key here: the keys are gauge, help, events, when, "
            "labels, limit, unit, value, keep\n");
  EXPECT_EQ(latency("    key: k\n    events: e\n    unit: nanoseconds"),
            "x.yaml:9: events: there is no such key here: the keys are latency, help, begin, end, "
            "key, end_key, when, end_when, labels, limit, buckets, timeout, in_flight\n"
            "x.yaml:10: unit: there is no such key here: the keys are latency, help, begin, end, "
            "key, end_key, when, end_when, labels, limit, buckets, timeout, in_flight\n");
  EXPECT_EQ(heatmap("    address: a\n    labels: {b: c}"),
            "x.yaml:9: labels: there is no such key here: did you mean label?\n");
  EXPECT_EQ(topk("    value: a\n    labels: {b: c}"),
            "x.yaml:9: labels: there is no such key here: did you mean label?\n");
  EXPECT_EQ(mistakes_of("counter: a_total", "    gauge: b\n    events: e"),
            "x.yaml:7: gauge: there is no such key here: the keys are counter, help, events, when, "
            "labels, limit, unit, add\n");
}

TEST(RuleParser, RefusesNamesThatPrometheusDoesNotTake) {
  for (const std::string_view name : {"9a_total", "a-b_total", "a:b_total", "a b_total"}) {
    EXPECT_EQ(mistakes_of("counter: " + std::string(name), "    events: e"),
              "x.yaml:5: counter: " + std::string(name) +
                  ": a metric's name has letters, digits and _, for instance "
                  "qemu_disk_bytes_total\n");
  }
}

TEST(RuleParser, RefusesNamesOfOurOwnMetrics) {
  for (const std::string_view name :
       {"qemond_x_total", "process_x_total", "qemu_trace_x_total", "qemu_vm_x_total"}) {
    EXPECT_EQ(mistakes_of("counter: " + std::string(name), "    events: e"),
              "x.yaml:5: counter: " + std::string(name) +
                  ": is a name of qemond's own metrics: choose another\n");
  }
  EXPECT_EQ(mistakes_of("gauge: qemu_up", "    events: e\n    value: 1"),
            "x.yaml:5: gauge: qemu_up: is a name of qemond's own metrics: choose another\n");
}

TEST(RuleParser, WantsTheEndOfANameToTellTheKind) {
  EXPECT_EQ(mistakes_of("counter: a", "    events: e"),
            "x.yaml:5: counter: a: the name of a counter ends in _total\n");
  EXPECT_EQ(mistakes_of("heatmap: a", "    events: e\n    address: b"),
            "x.yaml:5: heatmap: a: the name of a counter ends in _total\n");
  EXPECT_EQ(mistakes_of("gauge: a_total", "    events: e\n    value: 1"),
            "x.yaml:5: gauge: a_total: the name of a gauge does not end in _total\n");
  for (const std::string_view end : {"_total", "_count", "_sum", "_bucket"}) {
    const auto name = "a" + std::string(end);
    EXPECT_EQ(mistakes_of("histogram: " + name, "    events: e\n    observe: 1\n    buckets: [1]"),
              "x.yaml:5: histogram: " + name + ": the name of a histogram does not end in " +
                  std::string(end) + "\n");
  }
}

TEST(RuleParser, WantsLatenciesToBeNamedInSeconds) {
  EXPECT_EQ(mistakes_of("latency: a_duration", "    begin: b\n    end: e\n    key: k"),
            "x.yaml:5: latency: a_duration: the name ends in _seconds, since it is in seconds\n");
}

TEST(RuleParser, WantsMetricsWithAUnitToBeNamedInSeconds) {
  EXPECT_EQ(mistakes_of("gauge: a", "    events: e\n    value: 1\n    unit: milliseconds"),
            "x.yaml:5: gauge: a: the name ends in _seconds, since it is in seconds\n");
  EXPECT_EQ(
      mistakes_of("counter: a_total", "    events: e\n    unit: nanoseconds"),
      "x.yaml:5: counter: a_total: the name ends in _seconds_total, since it is in seconds\n");
  EXPECT_EQ(mistakes_of("counter: a_seconds_total", "    events: e\n    unit: nanoseconds"), "");
  EXPECT_EQ(mistakes_of("gauge: a_seconds", "    events: e\n    value: 1\n    unit: minutes"),
            "x.yaml:9: unit: write nanoseconds, microseconds or milliseconds, or leave it out\n");
}

// A topk `a` shows `a_error` as well, and one page must not have two families of one name.
TEST(RuleParser, KeepsTheNamesOfTopkErrorsFree) {
  EXPECT_EQ(mistakes_of("gauge: a_error", "    events: e\n    value: 1"),
            "x.yaml:5: gauge: a_error: the name of a gauge does not end in _error\n");
}

TEST(RuleParser, WantsEvents) {
  EXPECT_EQ(mistakes_of("counter: a_total"), "x.yaml:5: events: is missing: name the events\n");
  EXPECT_EQ(mistakes_of("counter: a_total", "    events: []"),
            "x.yaml:7: events: write an event's name or a list of them\n");
  EXPECT_EQ(mistakes_of("counter: a_total", "    events: {a: b}"),
            "x.yaml:7: events: write an event's name or a list of them\n");
  EXPECT_EQ(mistakes_of("counter: a_total", "    events: [a, []]"),
            "x.yaml:7: events: an event's name is missing\n");
  EXPECT_EQ(mistakes_of("counter: a_total", "    events: [a, b c]"),
            "x.yaml:7: events: \"b c\" is no event's name\n");
  EXPECT_EQ(mistakes_of("counter: a_total", "    events: virtio_*"),
            "x.yaml:7: events: \"virtio_*\" is no event's name\n");
  EXPECT_EQ(mistakes_of("counter: a_total", "    events:\n      - a\n      - [b, a]"),
            "x.yaml:9: events: a is given twice\n");
  EXPECT_EQ(mistakes_of("latency: a_seconds", "    key: k"),
            "x.yaml:5: begin: is missing: name the events\n"
            "x.yaml:5: end: is missing: name the events\n");
}

TEST(RuleParser, NamesTheKeyOfAnExpressionThatCannotBeUnderstood) {
  EXPECT_EQ(counter("    add: 1 +\n    when: (a"),
            "x.yaml:8: add: \"1 +\": the end (character 4) is missing a number or an argument's "
            "name\n"
            "x.yaml:9: when: \"(a\": the end (character 3) should be a closing parenthesis\n");
  EXPECT_EQ(gauge("    value: a ^ b"),
            "x.yaml:8: value: \"a ^ b\": \"^ b\" (character 3) does not belong here\n");
  EXPECT_EQ(histogram("    observe: 1.5\n    buckets: [1]"),
            "x.yaml:8: observe: \"1.5\": \".5\" (character 2) does not belong here\n");
  EXPECT_EQ(heatmap("    address: ~a"),
            "x.yaml:8: address: \"~a\": \"~a\" (character 1) should be a number or an argument's "
            "name\n");
  EXPECT_EQ(latency("    key: [a, b c]\n    end_when: =="),
            "x.yaml:9: end_when: \"==\": \"==\" (character 1) should be a number or an argument's "
            "name\n"
            "x.yaml:8: key: \"b c\": \"c\" (character 3) does not belong here\n");
}

TEST(RuleParser, WantsTheExpressionThatAKindIsMadeOf) {
  EXPECT_EQ(gauge(""), "x.yaml:5: value: is missing: write an expression over the arguments\n");
  EXPECT_EQ(histogram("    buckets: [1]"),
            "x.yaml:5: observe: is missing: write an expression over the arguments\n");
  EXPECT_EQ(heatmap(""), "x.yaml:5: address: is missing: write an expression over the arguments\n");
  EXPECT_EQ(topk(""), "x.yaml:5: value: is missing: write an expression over the arguments\n");
  EXPECT_EQ(latency(""),
            "x.yaml:5: key: is missing: name the arguments that a begin and its end have in "
            "common\n");
}

TEST(RuleParser, TakesOneToFourPartsOfAKey) {
  EXPECT_EQ(latency("    key: a"), "");
  EXPECT_EQ(latency("    key: [a, b, c, d]"), "");
  EXPECT_EQ(latency("    key: [a, b, c, d, e]"),
            "x.yaml:8: key: write an expression or a list of 1 to 4\n");
  EXPECT_EQ(latency("    key: []"), "x.yaml:8: key: write an expression or a list of 1 to 4\n");
}

TEST(RuleParser, WantsTheKeyOfAnEndToHaveAsManyParts) {
  EXPECT_EQ(latency("    key: [a, b]\n    end_key: [c, d + 1]"), "");
  EXPECT_EQ(latency("    key: [a, b]\n    end_key: c"),
            "x.yaml:9: end_key: must have as many parts as key\n");
  EXPECT_EQ(latency("    key: [a, b]\n    end_key: [c, d e]"),
            "x.yaml:9: end_key: \"d e\": \"e\" (character 3) does not belong here\n"
            "x.yaml:9: end_key: must have as many parts as key\n");
  EXPECT_EQ(latency("    end_key: c"),
            "x.yaml:5: key: is missing: name the arguments that a begin and its end have in "
            "common\n");
}

TEST(RuleParser, WantsNumbersWithinTheirLimits) {
  for (const std::string_view bad : {"0", "10001", "-1", "many", "1.5", "[1]", "\"\""}) {
    EXPECT_EQ(counter("    limit: " + std::string(bad)),
              "x.yaml:8: limit: write a number from 1 to 10000\n")
        << bad;
  }
  EXPECT_EQ(counter("    limit: 10000"), "");
  EXPECT_EQ(latency("    key: k\n    in_flight: 1000001"),
            "x.yaml:9: in_flight: write a number from 1 to 1000000\n");
  EXPECT_EQ(heatmap("    address: a\n    ranges: 0"),
            "x.yaml:9: ranges: write a number from 1 to 10000\n");
  EXPECT_EQ(heatmap("    address: a\n    range: 5000"),
            "x.yaml:9: range: must be a power of two, for instance 4096\n");
  EXPECT_EQ(heatmap("    address: a\n    range: 2199023255552"),
            "x.yaml:9: range: write a number from 1 to 1099511627776\n");
  EXPECT_EQ(heatmap("    address: a\n    range: 0x1000"), "");
  EXPECT_EQ(topk("    value: a\n    top: 0"), "x.yaml:9: top: write a number from 1 to 10000\n");
  EXPECT_EQ(topk("    value: a\n    capacity: 100001"),
            "x.yaml:9: capacity: write a number from 1 to 100000\n"
            "x.yaml:9: capacity: must not be less than top\n");
  EXPECT_EQ(topk("    value: a\n    top: 30\n    capacity: 29"),
            "x.yaml:10: capacity: must not be less than top\n");
}

TEST(RuleParser, WantsADurationForTheTimeout) {
  for (const std::string_view bad :
       {"30", "0s", "-1s", "30 s", "30sec", "[30s]", "s", "9999999999s"}) {
    EXPECT_EQ(
        latency("    key: k\n    timeout: " + std::string(bad)),
        "x.yaml:9: timeout: write a duration of a year at most, for instance 500ms, 30s or 5m\n")
        << bad;
  }
  for (const std::string_view good : {"1ms", "30s", "1.5m", "24h", "365d"})
    EXPECT_EQ(latency("    key: k\n    timeout: " + std::string(good)), "") << good;
}

TEST(RuleParser, WantsTheWordsThatItKnows) {
  EXPECT_EQ(gauge("    value: a\n    keep: first"), "x.yaml:9: keep: write last, min or max\n");
  for (const std::string_view good : {"last", "min", "max"})
    EXPECT_EQ(gauge("    value: a\n    keep: " + std::string(good)), "") << good;
  EXPECT_EQ(topk("    value: a\n    decode: octal"), "x.yaml:9: decode: write hex or decimal\n");
  EXPECT_EQ(topk("    value: a\n    label: le"), "x.yaml:9: label: \"le\" cannot be a label\n");
}

TEST(RuleParser, WantsBucketsForAHistogram) {
  EXPECT_EQ(histogram("    observe: a"),
            "x.yaml:5: buckets: is missing: give the bounds, for instance {exp2: {from: 512, to: "
            "1048576}}\n");
}

TEST(RuleParser, AnExclamationMarkNeedsQuotesAndIsNeverLost) {
  EXPECT_EQ(counter("    when: \"!a\""), "");
  EXPECT_NE(counter("    when: !a"), "");
  EXPECT_NE(counter("    when: ! a == 1"), "");
}

TEST(RuleParser, ReadsTheLabelsAndBucketsThatTheManualShows) {
  const std::string manual = test::read_file(QEMON_TEST_DATA "/../../docs/packs.md");
  const auto cell = [&](std::string text) {
    for (auto at = text.find("EVENT: read, EVENT"); at != std::string::npos; at = std::string::npos)
      text.replace(at, 18, "b: read, c");
    return text;
  };
  int labels = 0, buckets = 0;
  std::istringstream lines(manual);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    const auto text = cell(line.substr(3, line.find('`', 3) - 3));
    if (text.starts_with("buckets: ")) {
      EXPECT_EQ(histogram("    observe: a\n    " + text), "") << text;
      ++buckets;
    } else if (text.find(": ") != std::string::npos) {
      EXPECT_EQ(latency("    key: k\n    labels: {" + text + "}"), "") << text;
      ++labels;
    }
  }

  EXPECT_EQ(labels, 10);
  EXPECT_EQ(buckets, 3);
}

}  // namespace
}  // namespace qemon::exporters
