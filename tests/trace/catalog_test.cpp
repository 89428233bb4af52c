#include "trace/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/trace/test_catalogs.hpp"

namespace qemon::trace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// The only event of a one-line file.
CatalogEvent parse_one(std::string_view line) {
  const auto catalog = Catalog::parse(line);
  if (!catalog || catalog->events().size() != 1) {
    ADD_FAILURE() << line << ": " << (catalog ? "not one event" : catalog.error().detail);
    return {};
  }
  EXPECT_TRUE(catalog->problems().empty()) << catalog->problems().front();
  return catalog->events().front();
}

/// What is said about a line that cannot be parsed.
std::string problem_of(std::string_view line) {
  const auto catalog = Catalog::parse("good(void) \"\"\n" + std::string(line) + "\n");
  if (!catalog || catalog->problems().size() != 1 || catalog->events().size() != 1) {
    ADD_FAILURE() << "no problem with " << line;
    return {};
  }
  return catalog->problems().front();
}

struct Typed {
  const char* declaration;
  ArgumentKind kind;
  int bits;
};

TEST(Catalog, KnowsEveryTypeThatQemuAllows) {
  const auto is_signed = ArgumentKind::signed_integer, is_unsigned = ArgumentKind::unsigned_integer;
  const auto plain_char = std::is_signed_v<char> ? is_signed : is_unsigned;
  const Typed all[] = {
      {"int x", is_signed, 32},
      {"unsigned x", is_unsigned, 32},
      {"unsigned int x", is_unsigned, 32},
      {"long x", is_signed, 64},
      {"unsigned long x", is_unsigned, 64},
      {"long unsigned int x", is_unsigned, 64},
      {"unsigned long long x", is_unsigned, 64},
      {"unsigned short x", is_unsigned, 16},
      {"short x", is_signed, 16},
      {"char x", plain_char, 8},
      {"const char x", plain_char, 8},
      {"signed char x", is_signed, 8},
      {"unsigned char x", is_unsigned, 8},
      {"bool x", is_unsigned, 1},
      {"int8_t x", is_signed, 8},
      {"const uint8_t x", is_unsigned, 8},
      {"int16_t x", is_signed, 16},
      {"uint16_t x", is_unsigned, 16},
      {"int32_t x", is_signed, 32},
      {"uint32_t x", is_unsigned, 32},
      {"int64_t x", is_signed, 64},
      {"uint64_t x", is_unsigned, 64},
      {"size_t x", is_unsigned, 64},
      {"ssize_t x", is_signed, 64},
      {"uintptr_t x", is_unsigned, 64},
      {"ptrdiff_t x", is_signed, 64},
      {"void *x", ArgumentKind::pointer, 64},
      {"const void* x", ArgumentKind::pointer, 64},
      {"uint8_t *x", ArgumentKind::pointer, 64},
      {"unsigned char *x", ArgumentKind::pointer, 64},
      {"char **x", ArgumentKind::pointer, 64},
      {"const char *x", ArgumentKind::string, 0},
      {"const char* x", ArgumentKind::string, 0},
      {"char *x", ArgumentKind::string, 0},
      {"char* x", ArgumentKind::string, 0},
      {"const char * x", ArgumentKind::string, 0},
  };
  for (const auto& one : all) {
    const auto event = parse_one("e(" + std::string(one.declaration) + ") \"\"");

    ASSERT_EQ(event.arguments.size(), 1u);
    const auto& argument = event.arguments.front();
    EXPECT_EQ(argument.name, "x") << one.declaration;
    EXPECT_EQ(argument.kind, one.kind) << one.declaration;
    EXPECT_EQ(argument.bits, one.bits) << one.declaration;
  }
}

TEST(Catalog, JoinsLiteralsAndExpandsMacrosForLp64) {
  EXPECT_EQ(parse_one(R"(e(int a) "a %"PRIu64" b" " c")").format, "a %lu b c");
  EXPECT_EQ(parse_one(R"(e(int a) "%" PRIx8 PRIX16"%"PRIi32 "%"PRId64"%"PRIxPTR)").format,
            "%xX%i%ld%lx");
  EXPECT_EQ(parse_one(R"x(e(int a)"%08" PRIo64 "")x").format, "%08lo");
}

TEST(Catalog, KnowsTheEscapesOfC) {
  EXPECT_EQ(parse_one(R"(e(void) "\"a\"\t\n\\ \x41\102\?")").format, "\"a\"\t\n\\ AB?");
}

TEST(Catalog, AcceptsAMissingAndAnEmptyFormat) {
  EXPECT_EQ(parse_one("e(void)").format, "");
  EXPECT_EQ(parse_one("e(void) \"\"").format, "");
  EXPECT_TRUE(parse_one("e(void)").arguments.empty());
}

TEST(Catalog, MarksEventsThatAreCompiledOut) {
  EXPECT_TRUE(parse_one("disable e(void)").disabled);
  EXPECT_FALSE(parse_one("disable_it(void)").disabled);
}

TEST(Catalog, GivesVcpuEventsTheirImplicitArgument) {
  const auto event = parse_one("vcpu reset(int a) \"a=%d\"");
  const auto bare = parse_one("disable vcpu enter(void)");

  EXPECT_EQ(event.format, "cpu=%p a=%d");
  ASSERT_EQ(event.arguments.size(), 2u);
  EXPECT_EQ(event.arguments[0].name, "__cpu");
  EXPECT_EQ(event.arguments[0].kind, ArgumentKind::pointer);
  EXPECT_EQ(bare.format, "cpu=%p ");
  EXPECT_TRUE(bare.disabled);
}

TEST(Catalog, SplitsTcgEventsInTwo) {
  const auto catalog = Catalog::parse(
      R"(vcpu tcg mem(TCGv vaddr, uint16_t info) "info=%d", "v=0x%"PRIx64" info=%d")");
  ASSERT_TRUE(catalog) << catalog.error().detail;

  ASSERT_EQ(catalog->events().size(), 2u);
  const auto* translation = catalog->find("mem_trans");
  const auto* execution = catalog->find("mem_exec");
  ASSERT_TRUE(translation != nullptr && execution != nullptr);
  EXPECT_EQ(translation->format, "cpu=%p info=%d");
  EXPECT_EQ(translation->arguments.size(), 2u);
  EXPECT_EQ(execution->format, "cpu=%p v=0x%lx info=%d");
  ASSERT_EQ(execution->arguments.size(), 3u);
  EXPECT_EQ(execution->arguments[1].kind, ArgumentKind::unsigned_integer);
}

TEST(Catalog, SkipsCommentsAndBlankLinesAndCarriageReturns) {
  const auto catalog =
      Catalog::parse("# a(void)\r\n\r\n \t\n  # b(void)\none(void) \"x\"\r\ntwo(void)");
  ASSERT_TRUE(catalog);

  ASSERT_EQ(catalog->events().size(), 2u);
  EXPECT_EQ(catalog->find("one")->format, "x");
  EXPECT_NE(catalog->find("two"), nullptr);
  EXPECT_EQ(catalog->find("three"), nullptr);
}

TEST(Catalog, SurvivesBeingMoved) {
  auto catalog = Catalog::parse("e(void)\nf(void)\n");
  ASSERT_TRUE(catalog);
  const auto* before = catalog->find("f");

  const Catalog moved = std::move(*catalog);

  EXPECT_EQ(moved.find("f"), before);
  EXPECT_EQ(moved.find("f")->name, "f");
}

TEST(Catalog, TellsWhatIsWrongWithALine) {
  EXPECT_EQ(problem_of("nonsense"),
            "line 2: \"nonsense\" is no event: want NAME(ARGUMENTS) \"FORMAT\"");
  EXPECT_THAT(problem_of("e(int a \"%d\""), HasSubstr("is no event"));
  EXPECT_THAT(problem_of("(int a)"), HasSubstr("has no event name"));
  EXPECT_THAT(problem_of("a-b(int a)"), HasSubstr("has no event name"));
  EXPECT_EQ(problem_of("hot e(void)"), "line 2: unknown property \"hot\"");
  EXPECT_THAT(problem_of("e()"), HasSubstr("empty argument"));
  EXPECT_THAT(problem_of("e(int a,)"), HasSubstr("empty argument"));
  EXPECT_THAT(problem_of("e(int)"), HasSubstr("argument \"int\" has no type or no name"));
  EXPECT_THAT(problem_of("e(char *)"), HasSubstr("has no name"));
  EXPECT_THAT(problem_of("e(float f)"), HasSubstr("\"float f\" is not of a standard C type"));
  EXPECT_THAT(problem_of("e(const c)"), HasSubstr("is not of a standard C type"));
  EXPECT_THAT(
      problem_of("e(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k)"),
      HasSubstr("more than 10 arguments"));
  EXPECT_THAT(problem_of("e(int a) \"%d"), HasSubstr("no closing quote"));
  EXPECT_THAT(problem_of("e(int a) \"\\"), HasSubstr("escape"));
  EXPECT_THAT(problem_of("e(int a) \"\\q\""), HasSubstr("escape"));
  EXPECT_THAT(problem_of("e(int a) \"\\0\""), HasSubstr("escape"));
  EXPECT_THAT(problem_of("e(int a) \"\\777\""), HasSubstr("escape"));
  EXPECT_THAT(problem_of("e(int a) \"\\x\""), HasSubstr("escape"));
  EXPECT_THAT(problem_of("e(int a) \"%\"HWADDR_PRIx"),
              HasSubstr("\"HWADDR_PRIx\" outside its quotes"));
  EXPECT_THAT(problem_of("e(int a) \"%d\", \"%d\""), HasSubstr("comma"));
  EXPECT_THAT(problem_of("tcg e(int a) \"%d\", \"%d\", \"%d\""),
              HasSubstr("more than two formats"));
  EXPECT_EQ(problem_of("good(int a)"), "line 2: event \"good\" is described twice");
  EXPECT_THAT(problem_of(std::string("e(int a) \"a\0b\"", 14)), HasSubstr("NUL"));
  EXPECT_EQ(problem_of(std::string(70'000, 'x')), "line 2: longer than 64 KiB");
}

TEST(Catalog, MakesProblemsShortAndPrintable) {
  EXPECT_EQ(problem_of("\x1b[31m\xff" + std::string(1000, 'x')),
            "line 2: \"?[31m?" + std::string(54, 'x') +
                "...\" is no event: want NAME(ARGUMENTS) \"FORMAT\"");
}

TEST(Catalog, KeepsNoMoreThanTwentyProblems) {
  std::string text = "good(void)\n";
  for (int i = 0; i < 1000; ++i) text += "bad\n";

  const auto catalog = Catalog::parse(text);

  ASSERT_TRUE(catalog);
  ASSERT_EQ(catalog->problems().size(), 21u);
  EXPECT_EQ(catalog->problems().back(), "and 980 more lines");
}

TEST(Catalog, StopsAtAHundredThousandEvents) {
  std::string text;
  for (int i = 0; i < 100'001; ++i) text += "e" + std::to_string(i) + "(void)\n";

  const auto catalog = Catalog::parse(text);

  ASSERT_TRUE(catalog);
  EXPECT_EQ(catalog->events().size(), 100'000u);
  EXPECT_THAT(catalog->problems(), ElementsAre(HasSubstr("line 100001: more than 100,000")));
}

TEST(Catalog, IsAnErrorWithoutOneEvent) {
  const std::string texts[] = {"", "# only this\n", std::string(5000, '\0')};
  for (const auto& text : texts) {
    const auto catalog = Catalog::parse(text);

    ASSERT_FALSE(catalog);
    EXPECT_THAT(catalog.error().detail, HasSubstr("no event described; name the trace-events-all"));
  }
}

TEST(Catalog, SurvivesEveryCutAndEveryFlippedByte) {
  auto text = test::read_file(test::catalog_excerpt()).substr(0, 3000);
  for (std::size_t size = 0; size < text.size(); ++size)
    static_cast<void>(Catalog::parse(std::string_view(text).substr(0, size)));

  for (std::size_t at = 0; at < text.size(); ++at) {
    const char kept = text[at];
    for (const char c : {'\0', '"', '\\', '(', '\n', ',', '\xff'}) {
      text[at] = c;
      static_cast<void>(Catalog::parse(text));
    }
    text[at] = kept;
  }
}

TEST(Catalog, LoadsTheExcerptWithoutAProblem) {
  const auto catalog = Catalog::load(test::catalog_excerpt());
  ASSERT_TRUE(catalog) << catalog.error().detail;

  EXPECT_TRUE(catalog->problems().empty()) << catalog->problems().front();
  EXPECT_EQ(catalog->events().size(), 192u);
  EXPECT_EQ(catalog->find("hppa_tlb_itlbp")->arguments.size(), 10u);
  EXPECT_EQ(catalog->find("exec_tb")->format, "tb:%p pc=0x%lx");
}

TEST(Catalog, ParsesEveryLineOfWholeFiles) {
  for (const auto& path : test::whole_catalogs()) {
    const auto catalog = Catalog::load(path);
    ASSERT_TRUE(catalog) << catalog.error().detail;

    std::size_t lines = 0;
    std::istringstream text(test::read_file(path));
    for (std::string line; std::getline(text, line);) {
      const auto first = line.find_first_not_of(" \t");
      if (first != std::string::npos && line[first] != '#') ++lines;
    }
    EXPECT_TRUE(catalog->problems().empty()) << path << ": " << catalog->problems().front();
    EXPECT_EQ(catalog->events().size(), lines) << path;
  }
}

TEST(Catalog, LoadsNothingButRegularFilesOfSensibleSize) {
  const test::TempDir dir;
  const auto base = std::filesystem::path(dir.path());
  const std::string fifo = base / "fifo", large = base / "large", empty = base / "empty";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::ofstream{large};
  std::filesystem::resize_file(large, 65 * 1024 * 1024);
  std::ofstream{empty};

  EXPECT_EQ(Catalog::load(base / "none").error().detail,
            (base / "none").string() + ": No such file or directory");
  EXPECT_THAT(Catalog::load(base).error().detail, HasSubstr(": is no regular file; name"));
  EXPECT_THAT(Catalog::load(fifo).error().detail, HasSubstr(": is no regular file; name"));
  EXPECT_THAT(Catalog::load("/dev/zero").error().detail, HasSubstr("/dev/zero: is no regular"));
  EXPECT_EQ(Catalog::load(large).error().detail,
            large + ": is larger than 64 MiB; name the trace-events-all file of this QEMU");
  EXPECT_EQ(Catalog::load(empty).error().detail,
            empty + ": no event described; name the trace-events-all file of this QEMU");
}

}  // namespace
}  // namespace qemon::trace
