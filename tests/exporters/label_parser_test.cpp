#include "exporters/label_parser.hpp"

#include <gtest/gtest.h>

#include "tests/exporters/pack_run.hpp"

namespace qemon::exporters {
namespace {

/// The mistakes of a counter whose label x, in line 9, is written like that.
std::string label(std::string_view text) {
  return test::mistakes_in(
      test::pack_text("  - counter: a_total\n    help: A.\n    events: e\n"
                      "    labels:\n      x: " +
                      std::string(text) + "\n"));
}

/// The same for the key `labels` in line 8.
std::string labels(std::string_view text) {
  return test::mistakes_in(
      test::pack_text("  - counter: a_total\n    help: A.\n    events: e\n"
                      "    labels: " +
                      std::string(text) + "\n"));
}

TEST(LabelParser, ReadsEveryForm) {
  for (const std::string_view good :
       {"word", "\"\"", "{event: name}", "{event: {e: word}}", "{argument: a}",
        "{argument: a + 1, decode: decimal}", "{argument: a, decode: hex, values: [1, 0x2]}",
        "{argument: a, decode: size}", "{argument: a, decode: {bits: {from: 0, count: 64}}}",
        "{argument: a, decode: {bits: {from: 63, count: 1}}}",
        "{argument: a, decode: {map: {1: b, -2: c, text: d}}}",
        "{argument: a, decode: {map: {1: b}, default: c}}"})
    EXPECT_EQ(label(good), "") << good;
}

TEST(LabelParser, SaysWhichFormsThereAre) {
  const std::string forms =
      "x.yaml:9: labels: x: write a constant, {event: {EVENT: VALUE}} or {argument: NAME}\n";

  EXPECT_EQ(label(""), forms);
  EXPECT_EQ(label("[a]"), forms);
  EXPECT_EQ(label("{}"), forms);
  EXPECT_EQ(label("{arg: a}"), forms);
  EXPECT_EQ(labels("[a]"), "x.yaml:8: labels: write {NAME: VALUE, ...}\n");
  EXPECT_EQ(labels("a"), "x.yaml:8: labels: write {NAME: VALUE, ...}\n");
}

TEST(LabelParser, RefusesOtherKeys) {
  EXPECT_EQ(label("{argument: a, decod: hex}"),
            "x.yaml:9: decod: there is no such key here: did you mean decode?\n");
  EXPECT_EQ(label("{event: name, values: [a]}"),
            "x.yaml:9: values: there is no such key here: the keys are event\n");
  EXPECT_EQ(label("{argument: a, decode: {map: {1: b}, otherwise: c}}"),
            "x.yaml:9: otherwise: there is no such key here: the keys are map, default\n");
  EXPECT_EQ(label("{argument: a, from: end}"),
            "x.yaml:9: from: there is no such key here: the keys are argument, decode, values\n");
}

TEST(LabelParser, WantsAValueForEveryEvent) {
  EXPECT_EQ(label("{event: {f: b}}"),
            "x.yaml:9: labels: x: event e is missing here: say which value it gives\n");
  EXPECT_EQ(label("{event: all}"),
            "x.yaml:9: labels: x: event: write {EVENT: VALUE, ...}, or the word name\n");
  EXPECT_EQ(label("{event: {}}"),
            "x.yaml:9: labels: x: event: write {EVENT: VALUE, ...}, or the word name\n");
  EXPECT_EQ(label("{event: {e: [a]}}"), "x.yaml:9: labels: x: e: should be a word\n");
}

TEST(LabelParser, WantsAValueForEveryBeginOrForEveryEnd) {
  const auto latency = [](std::string_view map) {
    return test::mistakes_in(test::pack_text(
        "  - latency: a_seconds\n    help: A.\n    begin: [[b1, b2], b3]\n    end: [e1, e2]\n"
        "    key: k\n    labels:\n      x: {event: {" +
        std::string(map) + "}}\n"));
  };

  EXPECT_EQ(latency("b1: a, b2: a, b3: a"), "");
  EXPECT_EQ(latency("e1: a, e2: a"), "");
  EXPECT_EQ(latency("b1: a, b3: a"),
            "x.yaml:11: labels: x: event b2 is missing here: say which value it gives\n");
  EXPECT_EQ(latency("e1: a"),
            "x.yaml:11: labels: x: event e2 is missing here: say which value it gives\n");
}

TEST(LabelParser, SaysWhatIsWrongWithAnArgument) {
  EXPECT_EQ(
      label("{argument: a +}"),
      "x.yaml:9: labels: x: argument: \"a +\": the end (character 4) is missing a number or an "
      "argument's name\n");
}

TEST(LabelParser, SaysWhatIsWrongWithADecode) {
  const std::string forms =
      "x.yaml:9: labels: x: decode: write decimal, hex, size, {map: {VALUE: NAME}} or {bits: "
      "{from: "
      "0, count: 3}}\n";

  EXPECT_EQ(label("{argument: a, decode: octal}"), forms);
  EXPECT_EQ(label("{argument: a, decode: }"), forms);
  EXPECT_EQ(label("{argument: a, decode: [hex]}"), forms);
}

TEST(LabelParser, SaysWhatIsWrongWithBits) {
  const auto bits = [](std::string_view text) {
    return label("{argument: a, decode: {bits: " + std::string(text) + "}}");
  };
  const std::string within = "x.yaml:9: labels: x: bits: from and count must lie within 64 bits\n";

  EXPECT_EQ(bits("3"), "x.yaml:9: labels: x: bits: write {from: 0, count: 3}\n");
  EXPECT_EQ(bits("{from: 0, size: 3}"),
            "x.yaml:9: size: there is no such key here: the keys are from, count\n");
  for (const std::string_view bad :
       {"{from: 0}", "{count: 1}", "{from: 0, count: 0}", "{from: -1, count: 1}",
        "{from: 64, count: 1}", "{from: 0, count: 65}", "{from: 60, count: 5}",
        "{from: 1, count: 9223372036854775807}", "{from: a, count: 1}"})
    EXPECT_EQ(bits(bad), within) << bad;
}

TEST(LabelParser, SaysWhatIsWrongWithAMap) {
  const auto map = [](std::string_view text) {
    return label("{argument: a, decode: {map: " + std::string(text) + "}}");
  };

  EXPECT_EQ(map("{}"), "x.yaml:9: labels: x: map: write {VALUE: NAME, ...}\n");
  EXPECT_EQ(map("[a]"), "x.yaml:9: labels: x: map: write {VALUE: NAME, ...}\n");
  EXPECT_EQ(map("{1: [a]}"), "x.yaml:9: labels: x: 1: should be a word\n");
  EXPECT_EQ(map("{16: a, 0x10: b}"), "x.yaml:9: labels: x: 0x10: is given twice\n");
  EXPECT_EQ(map("{16: a, 16: b}"), "x.yaml:9: 16: is given twice\n");
}

TEST(LabelParser, SaysWhatIsWrongWithValues) {
  EXPECT_EQ(label("{argument: a, values: []}"),
            "x.yaml:9: labels: x: values: write a list of 1 to 200 values\n");
  EXPECT_EQ(label("{argument: a, values: 3}"),
            "x.yaml:9: labels: x: values: write a list of 1 to 200 values\n");
  EXPECT_EQ(label("{argument: a, values: [[1]]}"),
            "x.yaml:9: labels: x: values: should be words or numbers\n");
  EXPECT_EQ(label("{argument: a, decode: {map: {1: b}}, values: [b]}"),
            "x.yaml:9: labels: x: values: those of a map are known already\n");
}

TEST(LabelParser, WantsFromToBeBeginOrEnd) {
  EXPECT_EQ(test::mistakes_in(test::pack_text(
                "  - latency: a_seconds\n    help: A.\n    begin: b\n    end: e\n    key: k\n"
                "    labels: {x: {argument: a, from: middle}}\n")),
            "x.yaml:10: labels: x: from: write begin or end\n");
}

TEST(LabelParser, RefusesNamesThatAreNotForUs) {
  for (const std::string_view name : {"vm", "le", "quantile", "__name__", "9a", "a-b", "a:b"}) {
    EXPECT_EQ(labels("{" + std::string(name) + ": b}"),
              "x.yaml:8: labels: \"" + std::string(name) +
                  "\" cannot be a label: use letters, digits and _, and not vm, le, quantile or __ "
                  "in front\n");
  }
  EXPECT_TRUE(is_label_name("_a9"));
  EXPECT_FALSE(is_label_name(""));
  EXPECT_FALSE(is_label_name(std::string(65, 'a')));
}

TEST(LabelParser, TakesAtMostSixLabels) {
  EXPECT_EQ(labels("{a: 1, b: 2, c: 3, d: 4, e: 5, f: 6}"), "");
  EXPECT_EQ(labels("{a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7}"),
            "x.yaml:8: labels: at most 6, since every combination of values is a series\n");
}

}  // namespace
}  // namespace qemon::exporters
