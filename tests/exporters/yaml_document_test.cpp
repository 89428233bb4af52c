#include "exporters/yaml_document.hpp"

#include <gtest/gtest.h>

#include <random>

#include "exporters/yaml_reader.hpp"

namespace qemon::exporters {
namespace {

/// The tree on one line, with the line of each part; or the mistakes.
std::string show(const YamlNode& node) {
  std::string text;
  if (node.is_scalar()) text = "'" + node.scalar + "'";
  if (node.kind == YamlNode::Kind::null) text = "null";
  if (node.is_sequence()) {
    for (const auto& item : node.items) text += (text.empty() ? "[" : ", ") + show(item);
    text += text.empty() ? "[]" : "]";
  }
  if (node.is_map()) {
    for (const auto& entry : node.entries) {
      text += (text.empty() ? "{" : ", ") + entry.key + "@" + std::to_string(entry.line) + ": " +
              show(entry.value);
    }
    text += text.empty() ? "{}" : "}";
  }
  return text + "@" + std::to_string(node.line);
}

std::string parse(std::string_view yaml) {
  Mistakes mistakes("x");
  const auto node = parse_yaml(yaml, mistakes);
  std::string text = node ? show(*node) : "";
  for (const auto& line : mistakes.lines()) text += line + "\n";
  return text;
}

std::string repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(YamlDocument, KnowsTheLineOfEverything) {
  EXPECT_EQ(parse("# A comment.\n"
                  "a: 1\n"
                  "b:\n"
                  "  - x\n"
                  "  - [y,\n"
                  "     z]\n"
                  "c: {d: e,\n"
                  "    f: \"g\"}\n"),
            "{a@2: '1'@2, b@3: ['x'@4, ['y'@5, 'z'@6]@5]@4, c@7: {d@7: 'e'@7, f@8: 'g'@8}@7}@2");
}

TEST(YamlDocument, KeepsTheOrderOfTheFile) {
  EXPECT_EQ(parse("{b: 1, a: 2, c: 3}"), "{b@1: '1'@1, a@1: '2'@1, c@1: '3'@1}@1");
}

TEST(YamlDocument, TellsNothingFromAnEmptyText) {
  EXPECT_EQ(parse("a:\nb: ~\nc: \"\"\nd: null\n"),
            "{a@1: null@1, b@2: null@2, c@3: ''@3, d@4: null@4}@1");
}

TEST(YamlDocument, LeavesWordsAndNumbersAsTheyAre) {
  EXPECT_EQ(parse("[yes, 010, 0x1F, 1.50, true, 'it''s', \"a\\tb\"]"),
            "['yes'@1, '010'@1, '0x1F'@1, '1.50'@1, 'true'@1, 'it's'@1, 'a\tb'@1]@1");
}

TEST(YamlDocument, FindsKeys) {
  Mistakes mistakes("x");
  const auto node = parse_yaml("a: 1\nb: 2\n", mistakes);

  ASSERT_TRUE(node);
  EXPECT_EQ(node->find("b")->scalar, "2");
  EXPECT_EQ(node->find("c"), nullptr);
  EXPECT_EQ(node->find("a")->find("b"), nullptr);
}

TEST(YamlDocument, RefusesRepeatedKeys) {
  EXPECT_EQ(parse("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n"),
            "x:5: c: is given twice\nx:6: a: is given twice\n");
  EXPECT_EQ(parse("{a: {x: 1}, b: {x: 1}}"), "{a@1: {x@1: '1'@1}@1, b@1: {x@1: '1'@1}@1}@1");
}

TEST(YamlDocument, RefusesAnchorsAndAliases) {
  EXPECT_EQ(parse("a: &x 1\nb: *x\n"),
            "x:1: anchors (&NAME) cannot be used here: write the value out\n"
            "x:2: aliases (*NAME) cannot be used here: write the value out\n");
  EXPECT_EQ(parse("a: &x [1]\nb: &y {c: 1}\nd: &z\n"),
            "x:1: anchors (&NAME) cannot be used here: write the value out\n"
            "x:2: anchors (&NAME) cannot be used here: write the value out\n"
            "x:3: anchors (&NAME) cannot be used here: write the value out\n");
  EXPECT_EQ(
      parse("a: *nowhere\n"),
      "x:1: the referenced anchor is not defined (indent with blanks, not with tabs, and quote "
      "values that begin with one of *&!|>%@ or contain \": \" or \" #\")\n");
  EXPECT_EQ(parse("<<: *x\n").substr(0, 4), "x:1:");
}

// A billion laughs.
TEST(YamlDocument, RefusesToMultiply) {
  std::string text = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const auto before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + ", " + before +
            "]\n";
  }

  EXPECT_NE(parse(text).find("x:2: aliases (*NAME) cannot be used here"), std::string::npos);
}

TEST(YamlDocument, RefusesTags) {
  const std::string tags = "tags (!NAME) cannot be used here: quote a value that begins with !\n";

  EXPECT_EQ(parse("a: !x 1\n"), "x:1: " + tags);
  EXPECT_EQ(parse("a: !!int 1\nb: !x [1]\nc: !y {d: e}\n"),
            "x:1: " + tags + "x:2: " + tags + "x:3: " + tags);
  EXPECT_EQ(parse("a: ! 1\n"), "x:1: " + tags);
  EXPECT_EQ(parse("b: 1\na:\n  ! x == 1\n"), "x:3: " + tags);
  EXPECT_EQ(parse("\xef\xbb\xbf"
                  "a: ! 1\n"),
            "x:1: " + tags);
}

TEST(YamlDocument, TakesAnExclamationMarkInQuotes) {
  EXPECT_EQ(parse("a: \"!x\"\nb: '! x'\nc: |\n  !x\nd: >-\n  ! x\n"),
            "{a@1: '!x'@1, b@2: '! x'@2, c@3: '!x\n'@3, d@5: '! x'@5}@1");
}

TEST(YamlDocument, WantsPlainKeys) {
  EXPECT_EQ(parse("[a]: b\n"), "x:1: a key must be a plain word or number\n");
  EXPECT_EQ(parse("{a: b}: c\n"), "x:1: a key must be a plain word or number\n");
  EXPECT_EQ(parse("~: c\n"), "x:1: a key must be a plain word or number\n");
}

TEST(YamlDocument, NestsTwentyDeep) {
  EXPECT_EQ(parse(repeat("[", 20) + repeat("]", 20)).substr(0, 5), "[[[[[");
  EXPECT_EQ(parse(repeat("[", 21) + repeat("]", 21)), "x:1: is nested too deeply\n");
}

TEST(YamlDocument, SurvivesTheDeepestNesting) {
  for (const std::string_view open : {"[", "{a: ", "- ", "a:\n ", "{", "? ", "[{", "- - a: "}) {
    for (const int times : {100, 1000, 100'000}) EXPECT_NE(parse(repeat(open, times)), "") << open;
  }
}

TEST(YamlDocument, HoldsOneDocument) {
  EXPECT_EQ(parse("---\na: 1\n...\n"), "{a@2: '1'@2}@2");
  EXPECT_EQ(parse("a: 1\n---\nb: 2\n"),
            "x: holds more than one document: remove what follows the line ---\n");
}

TEST(YamlDocument, IsNotEmpty) {
  EXPECT_EQ(parse(""), "x: is empty\n");
  EXPECT_EQ(parse("\n \n# Only a comment.\n"), "x: is empty\n");
  EXPECT_EQ(parse("\xef\xbb\xbf"), "x: is empty\n");
}

TEST(YamlDocument, IsAText) {
  using namespace std::string_literals;

  EXPECT_EQ(parse("a: 1\nb: \0\n"s), "x:2: is no text: it holds control characters: remove them\n");
  EXPECT_EQ(parse("a: 1\n\x04"
                  "b: 2\n"),
            "x:2: is no text: it holds control characters: remove them\n");
  EXPECT_EQ(parse("\x7f"
                  "ELF\x02\x01\x01"),
            "x:1: is no text: it holds control characters: remove them\n");
  EXPECT_EQ(parse("a: 1\nb: caf\xe9\n"), "x:2: is no text: it must be UTF-8\n");
  EXPECT_EQ(parse("\xff\xfe"
                  "a\0:\0"s),
            "x:1: is no text: it must be UTF-8\n");
}

TEST(YamlDocument, TakesWindowsLinesAndAByteOrderMark) {
  EXPECT_EQ(parse("\xef\xbb\xbf"
                  "a: 1\r\nb:\r\n  - \u00e9\r\n"),
            "{a@1: '1'@1, b@2: ['\u00e9'@3]@3}@1");
}

TEST(YamlDocument, IsAtMostOneMebibyte) {
  const std::string head = "a: b #";

  EXPECT_EQ(parse(head + std::string(1024 * 1024 - head.size(), 'x')), "{a@1: 'b'@1}@1");
  EXPECT_EQ(parse(head + std::string(1024 * 1024 - head.size() + 1, 'x')),
            "x: is larger than 1 MiB, which no such file is\n");
}

TEST(YamlDocument, NamesTheLineThatCannotBeUnderstood) {
  EXPECT_EQ(parse("a: 1\nb: [1\nc: 2\n").substr(0, 2), "x:");
  EXPECT_EQ(parse("a: 1\n\tb: 2\n").substr(0, 4), "x:2:");
  EXPECT_EQ(parse("a: 1\nb: @c\n").substr(0, 4), "x:2:");
  EXPECT_EQ(parse("a: b: c\n").substr(0, 4), "x:1:");
}

// As many keys as fit: looking for repeated ones must not take minutes.
TEST(YamlDocument, ReadsAHundredThousandKeys) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += std::to_string(i) + ": 1\n";
  Mistakes mistakes("x");

  const auto node = parse_yaml(text, mistakes);

  ASSERT_TRUE(node);
  EXPECT_EQ(node->entries.size(), 100'000U);
}

TEST(YamlDocument, SurvivesGarbage) {
  std::mt19937 random(11);
  const std::string letters = "ab:-[]{},&*!|>'\"%@`#? \n\t~0\\x.<=";

  for (int i = 0; i < 3000; ++i) {
    std::string text;
    for (auto size = random() % 60; size > 0; --size) {
      text += random() % 30 == 0 ? static_cast<char>(random() % 256)
                                 : letters[random() % letters.size()];
    }
    EXPECT_NE(parse(text), "") << testing::PrintToString(text);
  }
}

std::string number(std::string text) {
  YamlNode node;
  node.kind = YamlNode::Kind::scalar;
  node.scalar = std::move(text);
  const auto value = whole_number(node);
  return value ? std::to_string(*value) : "none";
}

TEST(YamlReader, ReadsWholeNumbers) {
  EXPECT_EQ(number("0"), "0");
  EXPECT_EQ(number("-5"), "-5");
  EXPECT_EQ(number("0x1f"), "31");
  EXPECT_EQ(number("-0x1F"), "-31");
  EXPECT_EQ(number("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(number("-9223372036854775808"), "-9223372036854775808");
  for (const auto* bad :
       {"", "-", "--1", "0x", "0x-1", "+1", "1 ", " 1", "1.0", "1e3", "x", "1_000",
        "9223372036854775808", "-9223372036854775809", "0xffffffffffffffff"})
    EXPECT_EQ(number(bad), "none") << bad;
}

TEST(YamlReader, ReadsNumbersOfBothSixtyFourBitTypes) {
  EXPECT_TRUE(whole_number("18446744073709551615") == integer_max);
  EXPECT_TRUE(whole_number("0xffffffffffffffff") == integer_max);
  EXPECT_TRUE(whole_number("-9223372036854775808") == integer_min);
  EXPECT_FALSE(whole_number("18446744073709551616"));
  EXPECT_FALSE(whole_number("-9223372036854775809"));
}

TEST(YamlReader, NamesTheKeysOfWhatShouldBeAMap) {
  Mistakes mistakes("x");
  YamlNode node;
  node.line = 3;

  EXPECT_FALSE(refuse_other_keys(node, {"from", "to"}, mistakes));
  EXPECT_EQ(mistakes.lines().front(), "x:3: should have the keys from, to");
}

}  // namespace
}  // namespace qemon::exporters
