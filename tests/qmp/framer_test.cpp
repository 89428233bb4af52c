#include "qmp/framer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "qmp/error.hpp"

namespace qemon::qmp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Framed {
  std::vector<std::string> messages;
  std::string error;
  std::error_code code;
};

void drain(Framer& framer, Framed& framed) {
  while (true) {
    const auto message = framer.next();
    if (!message) {
      framed.error = message.error().detail;
      framed.code = message.error().code;
      return;
    }
    if (!*message) return;
    framed.messages.emplace_back(**message);
  }
}

Framed frame(std::string_view bytes, std::size_t piece_bytes, std::size_t line_bytes_max = 1000) {
  Framer framer(line_bytes_max, 8);
  Framed framed;
  while (!bytes.empty() && framed.error.empty()) {
    framer.feed(bytes.substr(0, piece_bytes));
    bytes.remove_prefix(std::min(piece_bytes, bytes.size()));
    drain(framer, framed);
  }
  return framed;
}

TEST(Framer, CutsLinesWithEitherEndAtEverySplit) {
  const std::string bytes = "{\"a\": [1, {}]}\r\n{\"b\": \"}\\\"{\\\\\"}\n\r\n \t{}\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    const auto framed = frame(bytes, piece);

    EXPECT_THAT(framed.messages, ElementsAre("{\"a\": [1, {}]}", "{\"b\": \"}\\\"{\\\\\"}", "{}"))
        << piece;
    EXPECT_EQ(framed.error, "");
  }
}

TEST(Framer, WaitsForTheRest) {
  Framer framer(1000, 8);
  framer.feed("{\"a\": ");

  const auto first = framer.next();
  framer.feed("1}");
  const auto second = framer.next();

  ASSERT_TRUE(first);
  EXPECT_FALSE(*first);
  ASSERT_TRUE(second);
  EXPECT_EQ(**second, "{\"a\": 1}");
}

TEST(Framer, UnderstandsPrettyPrintedMonitors) {
  const std::string bytes = "{\r\n    \"QMP\": {\r\n    }\r\n}\r\n{\n  \"return\": [\n  ]\n}\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    const auto framed = frame(bytes, piece);

    EXPECT_EQ(framed.messages.size(), 2U) << piece;
    EXPECT_EQ(framed.error, "");
  }
}

TEST(Framer, ErrorsAreTheSameAtEverySplit) {
  struct Case {
    std::string bytes;
    std::string error;
  };
  const std::vector<Case> cases = {
      {"{\"a\": 1\n{}", "ends in the middle of a message"},
      {"{\"a\n\": 1}", "ends inside a string"},
      {"{\"a\": ]}", "unbalanced brackets"},
      {"{\"a\": [}", "unbalanced brackets"},
      {"hello\n", "this is not a QMP monitor: it sent \"hello\""},
      {"{} x\n", "it sent \"x\""},
      {"[]\r\n", "it sent \"[]\""},
      {std::string("\x1b[1m\0bin\xff", 10) + "\n", "it sent \" [1m bin"},
      {"QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ", "give QEMU a -qmp"},
      {std::string(100, 'x'), "it sent \"" + std::string(80, 'x') + "\""},
      {std::string(9, '[') + "\n", "it sent \"["},
      {"{\"a\":" + std::string(8, '['), "nested more than 8 levels deep"},
  };
  for (const Case& one : cases) {
    for (std::size_t piece = 1; piece <= one.bytes.size(); ++piece) {
      const auto framed = frame(one.bytes, piece);

      EXPECT_THAT(framed.error, HasSubstr(one.error)) << piece;
      EXPECT_EQ(framed.code, errc::protocol);
    }
  }
}

TEST(Framer, CountsNestingOutsideStringsOnly) {
  const auto framed = frame("{\"a\": \"[[[[[[[[[[{{{{{{{{{\", \"b\": [[[[[[[]]]]]]]}", 7);

  EXPECT_EQ(framed.messages.size(), 1U) << framed.error;
}

TEST(Framer, LimitsALine) {
  const std::string fits = "{\"a\": \"" + std::string(91, 'x') + "\"}";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{64}, std::size_t{1000}}) {
    const auto good = frame(fits + "\n" + fits + "\n", piece, fits.size());
    const auto bad = frame(fits + "\n", piece, fits.size() - 1);
    const auto endless = frame("{\"a\": \"" + std::string(5000, 'x'), piece, 100);

    EXPECT_EQ(good.messages.size(), 2U) << good.error;
    EXPECT_EQ(bad.code, errc::line_too_long);
    EXPECT_THAT(endless.error, HasSubstr("more than 100 bytes"));
  }
}

TEST(Framer, StaysInError) {
  Framer framer(1000, 8);
  framer.feed("x\n");
  Framed framed;

  drain(framer, framed);
  framer.feed("{}\n");
  framed.error.clear();
  drain(framer, framed);

  EXPECT_NE(framed.error, "");
  EXPECT_TRUE(framed.messages.empty());
}

}  // namespace
}  // namespace qemon::qmp
