// The labels of rules, and what is refused of them.
#include "exporters/bound_label.hpp"

#include <gtest/gtest.h>

#include "tests/exporters/pack_run.hpp"
#include "tests/trace/simple_trace.hpp"
#include "trace/simple_decoder.hpp"

namespace qemon::exporters {
namespace {

using test::PackRun;

/// A counter of the event `line`, with one label.
std::string counter_by(std::string_view label, std::string_view event = "line") {
  return "  - counter: a_total\n    help: A.\n    events: " + std::string(event) +
         "\n    labels:\n      x: " + std::string(label) + "\n";
}

/// What `lines` give for a counter with that label.
std::string counted_by(std::string_view label, std::string_view lines,
                       std::string_view event = "line") {
  PackRun run;
  run.use(counter_by(label, event));
  run.feed(lines);
  return run.complaints() + run.samples("a_total");
}

TEST(BoundLabel, LabelsWithAConstant) {
  EXPECT_EQ(counted_by("fixed", "line irq 1 level 1\n"), "a_total{x=\"fixed\"} 1\n");
  EXPECT_EQ(counted_by("7", "line irq 1 level 1\n"), "a_total{x=\"7\"} 1\n");
  EXPECT_EQ(counted_by("'a \"b\" \\'", "line irq 1 level 1\n"),
            "a_total{x=\"a \\\"b\\\" \\\\\"} 1\n");
}

TEST(BoundLabel, LabelsByEvent) {
  EXPECT_EQ(counted_by("{event: {disk_read: read, disk_write: write}}",
                       "disk_write dev 0x1 sector 0 n 1\n", "[disk_read, disk_write]"),
            "a_total{x=\"read\"} 0\na_total{x=\"write\"} 1\n");
  EXPECT_EQ(counted_by("{event: {disk_read: io, disk_write: io}}",
                       "disk_write dev 0x1 sector 0 n 1\n", "[disk_read, disk_write]"),
            "a_total{x=\"io\"} 1\n");
}

TEST(BoundLabel, LabelsWithTheEventsName) {
  EXPECT_EQ(counted_by("{event: name}", "bare \n", "[line, bare]"),
            "a_total{x=\"line\"} 0\na_total{x=\"bare\"} 1\n");
}

TEST(BoundLabel, LabelsWithADecimalNumber) {
  EXPECT_EQ(counted_by("{argument: level}", "line irq 1 level -3\nline irq 1 level 3\n"),
            "a_total{x=\"-3\"} 1\na_total{x=\"3\"} 1\n");
  EXPECT_EQ(counted_by("{argument: level + 1, decode: decimal}", "line irq 1 level -1\n"),
            "a_total{x=\"0\"} 1\n");
  EXPECT_EQ(
      counted_by("{argument: addr}", "region name 'x' addr 0xffffffffffffffff size 1\n", "region"),
      "a_total{x=\"18446744073709551615\"} 1\n");
}

TEST(BoundLabel, LabelsInHexadecimal) {
  EXPECT_EQ(counted_by("{argument: dev, decode: hex}",
                       "disk_done dev 0x7f00deadbeef status 1\ndisk_done dev (nil) status 1\n",
                       "disk_done"),
            "a_total{x=\"0x7f00deadbeef\"} 1\na_total{x=\"0x0\"} 1\n");
  EXPECT_EQ(counted_by("{argument: level, decode: hex}", "line irq 1 level -1\n"),
            "a_total{x=\"0xffffffffffffffff\"} 1\n");
}

TEST(BoundLabel, LabelsWithASizeClass) {
  EXPECT_EQ(counted_by("{argument: level, decode: size}",
                       "line irq 1 level 0\nline irq 1 level 1\nline irq 1 level 3\n"
                       "line irq 1 level 4\nline irq 1 level 5\nline irq 1 level -3\n"),
            "a_total{x=\"0\"} 1\na_total{x=\"1\"} 1\na_total{x=\"4\"} 2\na_total{x=\"8\"} 1\n"
            "a_total{x=\"-3\"} 1\n");
  EXPECT_EQ(counted_by("{argument: addr, decode: size}",
                       "region name 'x' addr 0x8000000000000000 size 1\n"
                       "region name 'x' addr 0x8000000000000001 size 1\n",
                       "region"),
            "a_total{x=\"9223372036854775808\"} 1\na_total{x=\"__other__\"} 1\n");
}

TEST(BoundLabel, LabelsWithBits) {
  EXPECT_EQ(counted_by("{argument: irq, decode: {bits: {from: 4, count: 3}}}",
                       "line irq 255 level 1\nline irq 16 level 1\nline irq 15 level 1\n"),
            "a_total{x=\"7\"} 1\na_total{x=\"1\"} 1\na_total{x=\"0\"} 1\n");
  EXPECT_EQ(
      counted_by("{argument: irq, decode: {bits: {from: 0, count: 64}}}", "line irq -1 level 1\n"),
      "a_total{x=\"18446744073709551615\"} 1\n");
  EXPECT_EQ(
      counted_by("{argument: irq, decode: {bits: {from: 63, count: 1}}}", "line irq -1 level 1\n"),
      "a_total{x=\"1\"} 1\n");
}

TEST(BoundLabel, LabelsByAMapOfNumbers) {
  EXPECT_EQ(counted_by("{argument: irq, decode: {map: {2: io, 0x6: mmio, -1: none}}}",
                       "line irq 2 level 1\nline irq 6 level 1\nline irq -1 level 1\n"
                       "line irq 7 level 1\nline irq -7 level 1\n"),
            "a_total{x=\"none\"} 1\na_total{x=\"mmio\"} 1\na_total{x=\"io\"} 1\n"
            "a_total{x=\"unknown:7\"} 1\na_total{x=\"unknown:-7\"} 1\n");
  EXPECT_EQ(counted_by("{argument: irq, decode: {map: {2: io, 3: io}, default: other}}",
                       "line irq 3 level 1\nline irq 7 level 1\nline irq 8 level 1\n"),
            "a_total{x=\"io\"} 1\na_total{x=\"other\"} 2\n");
}

TEST(BoundLabel, LabelsByAMapOfTheGreatestNumbers) {
  const std::string all_ones = "region name 'x' addr 0xffffffffffffffff size 1\n";
  const std::string zero = "region name 'x' addr 0x0 size 1\n";

  for (const std::string_view key : {"18446744073709551615", "0xffffffffffffffff"}) {
    EXPECT_EQ(counted_by("{argument: addr, decode: {map: {" + std::string(key) +
                             ": broadcast}, default: other}}",
                         all_ones + all_ones + zero, "region"),
              "a_total{x=\"broadcast\"} 2\na_total{x=\"other\"} 1\n")
        << key;
  }
}

TEST(BoundLabel, LabelsWithAString) {
  EXPECT_EQ(counted_by("{argument: name}",
                       "region name 'ram 1' addr 0x0 size 1\nregion name '7' addr 0x0 size 1\n",
                       "region"),
            "a_total{x=\"ram 1\"} 1\na_total{x=\"7\"} 1\n");
}

TEST(BoundLabel, LabelsByAMapOfStrings) {
  const std::string lines =
      "region name 'ram' addr 0x0 size 1\nregion name '007' addr 0x0 size 1\n"
      "region name 'rom' addr 0x0 size 1\n";

  EXPECT_EQ(
      counted_by("{argument: name, decode: {map: {ram: memory, \"007\": bond}}}", lines, "region"),
      "a_total{x=\"bond\"} 1\na_total{x=\"memory\"} 1\na_total{x=\"rom\"} 1\n");
  EXPECT_EQ(
      counted_by("{argument: name, decode: {map: {ram: memory}, default: other}}", lines, "region"),
      "a_total{x=\"memory\"} 1\na_total{x=\"other\"} 2\n");
}

TEST(BoundLabel, CutsLongStrings) {
  const auto counted =
      counted_by("{argument: name}",
                 "region name '" + std::string(200, 'x') + "' addr 0x0 size 1\n", "region");

  EXPECT_EQ(counted, "a_total{x=\"" + std::string(128, 'x') + "\"} 1\n");
}

TEST(BoundLabel, ValuesAreThereFromTheBeginning) {
  EXPECT_EQ(counted_by("{argument: irq, values: [0, 1, 8]}", "line irq 8 level 1\n"),
            "a_total{x=\"0\"} 0\na_total{x=\"1\"} 0\na_total{x=\"8\"} 1\n");
  EXPECT_EQ(
      counted_by("{argument: irq, decode: hex, values: [0x0, 0xff]}", "line irq 255 level 1\n"),
      "a_total{x=\"0x0\"} 0\na_total{x=\"0xff\"} 1\n");
  EXPECT_EQ(counted_by("{argument: name, values: [ram, rom]}",
                       "region name 'rom' addr 0x0 size 1\n", "region"),
            "a_total{x=\"ram\"} 0\na_total{x=\"rom\"} 1\n");
}

TEST(BoundLabel, DeclaresEveryCombinationOfWhatTheFileTells) {
  PackRun run;
  run.use(
      "  - counter: a_total\n    help: A.\n    events: line\n    labels:\n"
      "      who: me\n"
      "      irq: {argument: irq, values: [1, 2]}\n"
      "      level: {argument: level, decode: {map: {0: low}, default: high}}\n");

  EXPECT_EQ(run.samples("a_total"),
            "a_total{who=\"me\",irq=\"1\",level=\"low\"} 0\n"
            "a_total{who=\"me\",irq=\"2\",level=\"low\"} 0\n"
            "a_total{who=\"me\",irq=\"1\",level=\"high\"} 0\n"
            "a_total{who=\"me\",irq=\"2\",level=\"high\"} 0\n");
}

TEST(BoundLabel, DeclaresNothingIfOneLabelIsOpen) {
  PackRun run;
  run.use(
      "  - counter: a_total\n    help: A.\n    events: line\n    labels:\n"
      "      who: me\n      irq: {argument: irq}\n");

  EXPECT_EQ(run.samples("a_total"), "");
}

TEST(BoundLabel, ARecordWhoseLabelHasNoResultIsLeftOut) {
  PackRun run;
  run.use(counter_by("{argument: 10 / irq}"));

  run.feed("line irq 0 level 1\nline irq 5 level 1\n");

  EXPECT_EQ(run.samples("a_total"), "a_total{x=\"2\"} 1\n");
  EXPECT_EQ(run.engine.find("a_total")
                ->errors[static_cast<std::size_t>(EvaluationError::division_by_zero)],
            1U);
}

TEST(BoundLabel, CountsWhatIsBeyondTheLimitUnderOther) {
  PackRun run;
  run.use(
      "  - counter: a_total\n    help: A.\n    events: line\n    limit: 2\n    labels:\n"
      "      irq: {argument: irq}\n");

  run.feed(
      "line irq 1 level 1\nline irq 2 level 1\nline irq 3 level 1\nline irq 4 level 1\n"
      "line irq 1 level 1\n");

  EXPECT_EQ(run.samples("a_total"),
            "a_total{irq=\"1\"} 2\na_total{irq=\"2\"} 1\na_total{irq=\"__other__\"} 2\n");
  EXPECT_EQ(run.samples("qemond_series_overflow_total"),
            "qemond_series_overflow_total{metric=\"a_total\"} 2\n");
}

TEST(BoundLabel, CountsEveryStringBeyondTheLimitAsOverflow) {
  PackRun run;
  run.use(
      "  - counter: a_total\n    help: A.\n    events: region\n    limit: 1\n    labels:\n"
      "      name: {argument: name}\n");

  for (const std::string name : {"a", "b", "c", "b", "a"})
    run.feed("region name '" + name + "' addr 0x0 size 1\n");

  EXPECT_EQ(run.samples("a_total"), "a_total{name=\"a\"} 2\na_total{name=\"__other__\"} 3\n");
  EXPECT_EQ(run.samples("qemond_series_overflow_total"),
            "qemond_series_overflow_total{metric=\"a_total\"} 3\n");
}

TEST(BoundLabel, KeepsTheLabelsThatTheFileTellsBeyondTheLimit) {
  PackRun run;
  run.use(
      "  - counter: a_total\n    help: A.\n    events: [disk_read, disk_write]\n    limit: 1\n"
      "    labels:\n      operation: {event: {disk_read: read, disk_write: write}}\n"
      "      n: {argument: n}\n");

  run.feed(
      "disk_read dev 0x1 sector 0 n 1\ndisk_read dev 0x1 sector 0 n 2\n"
      "disk_write dev 0x1 sector 0 n 1\n");

  EXPECT_EQ(run.samples("a_total"),
            "a_total{operation=\"read\",n=\"1\"} 1\n"
            "a_total{operation=\"read\",n=\"__other__\"} 1\n"
            "a_total{operation=\"write\",n=\"__other__\"} 1\n");
}

// Two strings that differ only in bytes that are no UTF-8 look the same on the page, and a page
// must not have a series twice.
TEST(BoundLabel, StringsThatLookTheSameAreOneSeries) {
  const auto counted = counted_by("{argument: name}",
                                  "region name 'a\xff' addr 0x0 size 1\n"
                                  "region name 'a\xfe' addr 0x0 size 1\n"
                                  "region name 'a\uFFFD' addr 0x0 size 1\n",
                                  "region");

  EXPECT_EQ(counted, "a_total{x=\"a\uFFFD\"} 3\n");
}

TEST(BoundLabel, RefusesAnAddressAsALabelWithoutDecode) {
  PackRun run;
  run.use(counter_by("{argument: dev}", "disk_done"));

  EXPECT_EQ(run.complaints(),
            "x.yaml:9: labels: x: \"dev\" is an address, and every new one would be a new series: "
            "leave it out, or write decode: hex if that is what you want\n"
            "a_total not offered: x.yaml:9: labels: x: \"dev\" is an address, and every new one "
            "would be a new series: leave it out, or write decode: hex if that is what you want\n");
}

TEST(BoundLabel, RefusesToDecodeAString) {
  PackRun run;
  run.use(counter_by("{argument: name, decode: hex}", "region"));

  EXPECT_NE(run.complaints().find("x.yaml:9: labels: x: \"name\" is a string: only decode: {map: "
                                  "...} is for strings\n"),
            std::string::npos)
      << run.complaints();
}

TEST(BoundLabel, RefusesToCalculateWithAString) {
  PackRun run;
  run.use(counter_by("{argument: name + 1}", "region"));

  EXPECT_NE(run.complaints().find("x.yaml:9: labels: x: argument \"name\" of event region is a "
                                  "string, which has no number: use it as a label, or leave it "
                                  "out\n"),
            std::string::npos)
      << run.complaints();
}

TEST(BoundLabel, RefusesAMapOfStringsForANumber) {
  PackRun run;
  run.use(counter_by("{argument: irq, decode: {map: {ram: memory}}}"));

  EXPECT_NE(
      run.complaints().find("x.yaml:9: labels: x: map: \"ram\" is no number, but \"irq\" is one\n"),
      std::string::npos)
      << run.complaints();
}

TEST(BoundLabel, NamesTheKeyAndTheEventOfAnUnknownArgument) {
  PackRun run;
  run.use(
      "  - counter: a_total\n    help: A.\n    events: [line, disk_done]\n    add: levle\n"
      "    when: irq\n");

  EXPECT_EQ(run.complaints(),
            "x.yaml:8: add: event line has no argument \"levle\": It has irq, level\n"
            "x.yaml:9: when: event disk_done has no argument \"irq\": It has dev, status\n"
            "x.yaml:8: add: event disk_done has no argument \"levle\": It has dev, status\n"
            "a_total not offered: x.yaml:8: add: event line has no argument \"levle\": It has irq, "
            "level\n");
}

TEST(BoundLabel, SaysThatArgumentsAreNotKnownWithoutACatalog) {
  PackRun run(test::test_catalog, false);
  run.use(
      "  - {counter: a_total, help: A., events: line, add: level}\n"
      "  - {counter: b_total, help: B., events: line}\n"
      "  - {counter: c_total, help: C., events: line, labels: {x: {argument: irq}}}\n"
      "  - {counter: d_total, help: D., events: line, labels: {x: {event: name}}}\n");

  run.feed("line irq 1 level 1\n");

  const std::string why =
      "the arguments of event line are not known: no trace-events-all of this QEMU was found (give "
      "it with --trace-events)\n";
  EXPECT_EQ(run.complaints(), "x.yaml:5: add: " + why + "x.yaml:7: labels: x: " + why +
                                  "a_total not offered: x.yaml:5: add: " + why +
                                  "c_total not offered: x.yaml:7: labels: x: " + why);
  EXPECT_EQ(run.samples("b_total") + run.samples("d_total"), "b_total 1\nd_total{x=\"line\"} 1\n");
}

TEST(BoundLabel, ReadsTheFullWidthOfBinaryTraces) {
  const auto catalog = trace::Catalog::parse(
                           "wide(int8_t small, uint64_t large, bool flag, const char *name) \"\"\n")
                           .value();
  trace::EventTable events;
  events.use_catalog(&catalog);
  trace::SimpleDecoder decoder(events);
  Engine engine(events);
  events.add("wide");
  const std::vector packs{test::parse(test::pack_text(
      "  - {gauge: small, help: S., events: wide, value: small}\n"
      "  - {gauge: large, help: L., events: wide, value: large - 1}\n"
      "  - {counter: flags_total, help: F., events: wide, when: flag == 1, labels: {name: "
      "{argument: name}}}\n"))};
  engine.use(packs);
  test::SimpleTrace trace;
  trace.header().mapping(5, "wide");
  trace.event(5, 1000,
              test::u64s({~std::uint64_t{0}, ~std::uint64_t{0}, 1}) + test::string("a\nb"));

  decoder.decode(trace.bytes, engine);

  const auto page = test::page_of([&] { return std::vector<EngineOfVm>{{"v", &engine, true}}; });
  EXPECT_NE(page.find("small{vm=\"v\"} -1\n"), std::string::npos) << page;
  EXPECT_NE(page.find("large{vm=\"v\"} 18446744073709551616\n"), std::string::npos) << page;
  EXPECT_NE(page.find("flags_total{vm=\"v\",name=\"a\\nb\"} 1\n"), std::string::npos) << page;
}

}  // namespace
}  // namespace qemon::exporters
