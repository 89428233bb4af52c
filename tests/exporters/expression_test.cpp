#include "exporters/expression.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tests/support/files.hpp"

namespace qemon::exporters {
namespace {

constexpr std::string_view catalog_text =
    "numbers(uint64_t a, uint64_t b, int64_t c, uint32_t d, uint64_t u, bool z) \"\"\n"
    "widths(uint8_t u8, int8_t i8, bool flag, int i, uint32_t u32, int64_t i64, uint64_t u64, "
    "size_t size, void *pointer, unsigned short u16) \"\"\n"
    "named(const char *name, int value) \"\"\n"
    "bare(void)\n";

const trace::Catalog& catalog() {
  static const auto parsed = trace::Catalog::parse(catalog_text).value();
  return parsed;
}

std::string to_text(Integer value) {
  const bool negative = value < 0;
  std::string digits;
  do {
    const auto digit = static_cast<int>(value % 10);
    digits.insert(digits.begin(), static_cast<char>('0' + (negative ? -digit : digit)));
    value /= 10;
  } while (value != 0);
  return negative ? "-" + digits : digits;
}

std::string evaluate(std::string_view text, std::string_view event,
                     std::initializer_list<std::uint64_t> values) {
  const auto parsed = Expression::parse(text);
  if (!parsed) return parsed.error().detail;
  const auto bound = parsed->bind(*catalog().find(event));
  if (!bound) return bound.error().detail;
  trace::Arguments arguments;
  for (const auto value : values) arguments.values[arguments.count++].bits = value;
  Integer result = 0, exact = 0;
  const auto error = bound->evaluate(arguments, result);
  // The shortcut for small numbers must make no difference.
  EXPECT_EQ(bound->evaluate_exactly(arguments, exact), error) << text;
  EXPECT_TRUE(error != EvaluationError::none || result == exact) << text;
  return error == EvaluationError::none ? to_text(result) : std::string(to_string(error));
}

constexpr std::uint64_t minus(std::uint64_t value) {
  return std::uint64_t{0} - value;
}

/// With a = 7, b = 3, c = -5, d = 40, u = 2^64 - 1 and z = 0.
std::string evaluate(std::string_view text) {
  return evaluate(text, "numbers", {7, 3, minus(5), 40, ~std::uint64_t{0}, 0});
}

/// With the value -1 for the signed ones, and all bits set for the others.
std::string evaluate_widths(std::string_view text) {
  const auto all = ~std::uint64_t{0};
  return evaluate(text, "widths",
                  {0xff, all, 1, all, 0xffffffff, all, all, all, 0x7f00deadbeef, 0xffff});
}

std::string problem_of(std::string_view text) {
  const auto parsed = Expression::parse(text);
  return parsed ? "no problem" : parsed.error().detail;
}

std::string repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// The file was written by a C++ compiler, from the same expressions over a class with overloaded
// operators: the language's own precedence.
TEST(Expression, MeansWhatItMeansInC) {
  std::istringstream lines(test::read_file(QEMON_TEST_DATA "/expressions.txt"));
  int count = 0;

  for (std::string line; std::getline(lines, line); ++count) {
    const auto tab = line.find('\t');
    EXPECT_EQ(evaluate(line.substr(0, tab)), line.substr(tab + 1)) << line;
  }

  EXPECT_GT(count, 400);
}

TEST(Expression, NeedsNoBlanks) {
  std::istringstream lines(test::read_file(QEMON_TEST_DATA "/expressions.txt"));

  for (std::string line; std::getline(lines, line);) {
    const auto tab = line.find('\t');
    std::string text = line.substr(0, tab);
    text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
    EXPECT_EQ(evaluate(text), line.substr(tab + 1)) << line;
  }
}

TEST(Expression, TakesBlanksAndNewlinesAnywhere) {
  EXPECT_EQ(evaluate(" \n a\t*\n( b + 1 ) \n"), "28");
}

TEST(Expression, BindsAsTightlyAsCDoesWhereThatSurprises) {
  EXPECT_EQ(evaluate("1 << 2 + 3"), "32");
  EXPECT_EQ(evaluate("1 & 2 == 2"), "1");
  EXPECT_EQ(evaluate("6 | 1 & 2"), "6");
  EXPECT_EQ(evaluate("2 < 3 == 1"), "1");
  EXPECT_EQ(evaluate("3 > 2 > 1"), "0");
  EXPECT_EQ(evaluate("10 - 4 - 3"), "3");
  EXPECT_EQ(evaluate("100 / 10 * 2"), "20");
  EXPECT_EQ(evaluate("!a + 1"), "1");
  EXPECT_EQ(evaluate("-a * b"), "-21");
  EXPECT_EQ(evaluate("1 || 0 && 0"), "1");
  EXPECT_EQ(evaluate("(1 || 0) && 0"), "0");
  EXPECT_EQ(evaluate("a - -b"), "10");
  EXPECT_EQ(evaluate("a--b"), "10");
  EXPECT_EQ(evaluate("a<-b"), "0");
  EXPECT_EQ(evaluate("a&-b"), "5");
}

TEST(Expression, StopsWhereTheLeftSideDecides) {
  EXPECT_EQ(evaluate("z && a / z"), "0");
  EXPECT_EQ(evaluate("a || a / z"), "1");
  EXPECT_EQ(evaluate("z && a / z || b"), "1");
  EXPECT_EQ(evaluate("a || a / z && a / z"), "1");
  EXPECT_EQ(evaluate("z && (a / z || a / z) && a / z"), "0");
  EXPECT_EQ(evaluate("z != 0 && u / z > 3"), "0");
}

TEST(Expression, GoesOnWhereTheLeftSideDoesNotDecide) {
  EXPECT_EQ(evaluate("a && a / z"), "division_by_zero");
  EXPECT_EQ(evaluate("z || a / z"), "division_by_zero");
  EXPECT_EQ(evaluate("a / z && z"), "division_by_zero");
}

TEST(Expression, GivesOneOrZeroForAndOrAndNot) {
  EXPECT_EQ(evaluate("a && b"), "1");
  EXPECT_EQ(evaluate("a || b"), "1");
  EXPECT_EQ(evaluate("z || b"), "1");
  EXPECT_EQ(evaluate("z || z"), "0");
  EXPECT_EQ(evaluate("c && u"), "1");
  EXPECT_EQ(evaluate("!a"), "0");
  EXPECT_EQ(evaluate("!!a"), "1");
  EXPECT_EQ(evaluate("(a && b) + (a || b)"), "2");
}

TEST(Expression, ReadsArgumentsByTheirDeclaredWidthAndSign) {
  EXPECT_EQ(evaluate_widths("u8"), "255");
  EXPECT_EQ(evaluate_widths("i8"), "-1");
  EXPECT_EQ(evaluate_widths("flag"), "1");
  EXPECT_EQ(evaluate_widths("i"), "-1");
  EXPECT_EQ(evaluate_widths("u16"), "65535");
  EXPECT_EQ(evaluate_widths("u32"), "4294967295");
  EXPECT_EQ(evaluate_widths("i64"), "-1");
  EXPECT_EQ(evaluate_widths("u64"), "18446744073709551615");
  EXPECT_EQ(evaluate_widths("size"), "18446744073709551615");
  EXPECT_EQ(evaluate_widths("pointer"), "139641712656111");
}

TEST(Expression, IgnoresBitsBeyondTheDeclaredWidth) {
  const auto read = [](std::string_view name) {
    const std::uint64_t bits = 0xabcdef0123456785;
    return evaluate(name, "widths", {bits, bits, bits, bits, bits, bits, bits, bits, bits, bits});
  };

  EXPECT_EQ(read("u8"), "133");
  EXPECT_EQ(read("i8"), "-123");
  EXPECT_EQ(read("flag"), "1");
  EXPECT_EQ(read("u16"), "26501");
  EXPECT_EQ(read("i"), "591751045");
  EXPECT_EQ(read("u32"), "591751045");
  EXPECT_EQ(read("u64"), "12379813738877118341");
  EXPECT_EQ(read("i64"), "-6066930334832433275");
}

TEST(Expression, ReadsASignedArgumentThatWasNotExtended) {
  EXPECT_EQ(evaluate("i8", "widths", {0, 0x80}), "-128");
  EXPECT_EQ(evaluate("i", "widths", {0, 0, 0, 0xfffffff0}), "-16");
}

TEST(Expression, ComparesNumbersOfDifferentSignsExactly) {
  EXPECT_EQ(evaluate("c < a"), "1");
  EXPECT_EQ(evaluate("c < u"), "1");
  EXPECT_EQ(evaluate("-1 == u"), "0");
  EXPECT_EQ(evaluate_widths("i < size"), "1");
  EXPECT_EQ(evaluate_widths("i64 == u64"), "0");
  EXPECT_EQ(evaluate_widths("i + u64"), "18446744073709551614");
  EXPECT_EQ(evaluate_widths("u32 - u64"), "overflow");
  EXPECT_EQ(evaluate_widths("u8 - u32"), "-4294967040");
}

TEST(Expression, HoldsEveryNumberOfBothSixtyFourBitTypes) {
  EXPECT_EQ(evaluate("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(evaluate("0xffffffffffffffff"), "18446744073709551615");
  EXPECT_EQ(evaluate("0XfF"), "255");
  EXPECT_EQ(evaluate("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(evaluate("i64", "widths", {0, 0, 0, 0, 0, std::uint64_t{1} << 63}),
            "-9223372036854775808");
}

TEST(Expression, TellsAnOverflow) {
  EXPECT_EQ(evaluate("u + 1"), "overflow");
  EXPECT_EQ(evaluate("u * 2"), "overflow");
  EXPECT_EQ(evaluate("u * u"), "overflow");
  EXPECT_EQ(evaluate("u * -1"), "overflow");
  EXPECT_EQ(evaluate("-u"), "overflow");
  EXPECT_EQ(evaluate("-9223372036854775808 - 1"), "overflow");
  EXPECT_EQ(evaluate("-9223372036854775808 * 9223372036854775808"), "overflow");
  EXPECT_EQ(evaluate("-9223372036854775808 * -9223372036854775808"), "overflow");
  EXPECT_EQ(evaluate("-9223372036854775808 * -2"), "overflow");
  EXPECT_EQ(evaluate("u + 1 - 1"), "overflow");
}

TEST(Expression, StaysExactAtTheLimits) {
  EXPECT_EQ(evaluate("u - 1 + 1"), "18446744073709551615");
  EXPECT_EQ(evaluate("9223372036854775808 * 2 - 1"), "overflow");
  EXPECT_EQ(evaluate("9223372036854775807 * 2 + 1"), "18446744073709551615");
  EXPECT_EQ(evaluate("-9223372036854775808 / -1"), "9223372036854775808");
  EXPECT_EQ(evaluate("-9223372036854775808 % -1"), "0");
  EXPECT_EQ(evaluate("i64 / i8", "widths", {0, minus(1), 0, 0, 0, std::uint64_t{1} << 63}),
            "9223372036854775808");
  EXPECT_EQ(evaluate("- -9223372036854775808"), "9223372036854775808");
}

TEST(Expression, DividesAsCDoes) {
  EXPECT_EQ(evaluate("c / 2"), "-2");
  EXPECT_EQ(evaluate("c % 2"), "-1");
  EXPECT_EQ(evaluate("a / -2"), "-3");
  EXPECT_EQ(evaluate("a % -2"), "1");
  EXPECT_EQ(evaluate("a / z"), "division_by_zero");
  EXPECT_EQ(evaluate("a % z"), "division_by_zero");
  EXPECT_EQ(evaluate("z / z"), "division_by_zero");
}

TEST(Expression, ShiftsExactly) {
  EXPECT_EQ(evaluate("1 << 63"), "9223372036854775808");
  EXPECT_EQ(evaluate("2 << 63"), "overflow");
  EXPECT_EQ(evaluate("u << 0"), "18446744073709551615");
  EXPECT_EQ(evaluate("u << 1"), "overflow");
  EXPECT_EQ(evaluate("u << 63"), "overflow");
  EXPECT_EQ(evaluate("-1 << 63"), "-9223372036854775808");
  EXPECT_EQ(evaluate("-2 << 63"), "overflow");
  EXPECT_EQ(evaluate("z << 63"), "0");
  EXPECT_EQ(evaluate("u >> 63"), "1");
  EXPECT_EQ(evaluate("c >> 1"), "-3");
  EXPECT_EQ(evaluate("c >> 63"), "-1");
}

TEST(Expression, RefusesToShiftByLessThanZeroOrMoreThanSixtyThree) {
  EXPECT_EQ(evaluate("a << 64"), "overflow");
  EXPECT_EQ(evaluate("a >> 64"), "overflow");
  EXPECT_EQ(evaluate("a << -1"), "overflow");
  EXPECT_EQ(evaluate("a >> -1"), "overflow");
  EXPECT_EQ(evaluate("z << u"), "overflow");
}

TEST(Expression, CombinesBitsOfNegativeNumbersAsTwosComplement) {
  EXPECT_EQ(evaluate("c & 0xff"), "251");
  EXPECT_EQ(evaluate("c | 1"), "-5");
  EXPECT_EQ(evaluate("u & c"), "18446744073709551611");
  EXPECT_EQ(evaluate("u | c"), "-1");
}

TEST(Expression, SaysWhereItCannotBeUnderstood) {
  EXPECT_EQ(problem_of(""),
            "\"\": the end (character 1) is missing a number or an argument's name");
  EXPECT_EQ(problem_of("a +"),
            "\"a +\": the end (character 4) is missing a number or an argument's name");
  EXPECT_EQ(problem_of("a + * b"),
            "\"a + * b\": \"* b\" (character 5) should be a number or an argument's name");
  EXPECT_EQ(problem_of("a b"), "\"a b\": \"b\" (character 3) does not belong here");
  EXPECT_EQ(problem_of("a = b"), "\"a = b\": \"= b\" (character 3) does not belong here");
  EXPECT_EQ(problem_of("(a + b"),
            "\"(a + b\": the end (character 7) should be a closing parenthesis");
  EXPECT_EQ(problem_of("a + b)"), "\"a + b)\": \")\" (character 6) does not belong here");
  EXPECT_EQ(problem_of("a ? b : c"),
            "\"a ? b : c\": \"? b : c\" (character 3) does not belong here");
  EXPECT_EQ(
      problem_of("\"text\" == a"),
      "\"\"text\" == a\": \"\"text\" == a\" (character 1) should be a number or an argument's "
      "name");
}

TEST(Expression, SaysWhatIsWrongWithANumber) {
  EXPECT_EQ(problem_of("1k"), "\"1k\": \"1k\" (character 1) is no number");
  EXPECT_EQ(problem_of("0x"), "\"0x\": \"0x\" (character 1) is no number");
  EXPECT_EQ(problem_of("0xg"), "\"0xg\": \"0xg\" (character 1) is no number");
  EXPECT_EQ(problem_of("010"),
            "\"010\": \"010\" (character 1) is no number: leave the 0 in front out");
  EXPECT_EQ(problem_of("1.5"), "\"1.5\": \".5\" (character 2) does not belong here");
  EXPECT_EQ(problem_of("18446744073709551616"),
            "\"18446744073709551616\": \"184467440737\" (character 1) is a number beyond 64 bits");
  EXPECT_EQ(problem_of("0x10000000000000000"),
            "\"0x10000000000000000\": \"0x1000000000\" (character 1) is a number beyond 64 bits");
}

TEST(Expression, RefusesEveryOperatorThatItDoesNotHave) {
  for (const std::string_view text :
       {"a ^ b", "~a",      "a ++ + ", "a += 1",  "a ** b",  "a, b",    "a[1]",   "a->b",
        "a.b",   "a &&& b", "a ||| b", "a <<< b", "a >>> b", "a === b", "a =! b", "a !b",
        "+a",    "a <> b",  "#a",      "a\\",     "a\x01",   "\xff",    "()",     "a()",
        "&a",    "*a",      "a && ",   "|| a",    "a !",     "! ",      "-",      "!=a"})
    EXPECT_NE(problem_of(text), "no problem") << text;
}

TEST(Expression, IsAtMostFiveHundredCharactersLong) {
  EXPECT_EQ(problem_of("a" + std::string(499, ' ')), "no problem");
  EXPECT_EQ(problem_of("a" + std::string(500, ' ')), "is longer than 500 characters");
}

TEST(Expression, CutsWhatItQuotesOfALongText) {
  EXPECT_EQ(problem_of(std::string(400, 'a') + "$"),
            "\"" + std::string(80, 'a') + "\": \"$\" (character 401) does not belong here");
}

TEST(Expression, NestsTwentyDeep) {
  EXPECT_EQ(evaluate(repeat("(", 19) + "a" + repeat(")", 19)), "7");
  EXPECT_EQ(evaluate(repeat("-", 19) + "a"), "-7");
  EXPECT_NE(problem_of(repeat("(", 20) + "a" + repeat(")", 20)).find("is nested too deeply"),
            std::string::npos);
  EXPECT_NE(problem_of(repeat("!", 20) + "a").find("is nested too deeply"), std::string::npos);
  EXPECT_NE(problem_of(repeat("(", 450)).find("is nested too deeply"), std::string::npos);
}

TEST(Expression, NestingEndsWithItsParenthesis) {
  EXPECT_EQ(evaluate(repeat("(a) + ", 50) + "-a"), "343");
}

TEST(Expression, HoldsAtMostSixteenValuesThatWait) {
  EXPECT_EQ(evaluate(repeat("1 + (", 15) + "1" + repeat(")", 15)), "16");
  EXPECT_NE(problem_of(repeat("1 + (", 16) + "1" + repeat(")", 16)).find("is nested too deeply"),
            std::string::npos);
  // Nine levels of precedence make values wait without a parenthesis.
  const std::string deep = "1 | 1 & 1 == 1 < 1 << 1 + 1 * ";
  EXPECT_EQ(evaluate(deep + "(" + deep + "1)"), "1");
  EXPECT_NE(problem_of(deep + "(" + deep + "(" + deep + "1))").find("is nested too deeply"),
            std::string::npos);
}

TEST(Expression, ChainsOfAndAndOrNeedNoStack) {
  EXPECT_EQ(evaluate(repeat("a&&", 160) + "a"), "1");
  EXPECT_EQ(evaluate(repeat("z||", 160) + "z"), "0");
  EXPECT_EQ(evaluate(repeat("a&&z||", 80) + "b"), "1");
  EXPECT_EQ(evaluate(repeat("z&&(", 19) + "z" + repeat(")", 19)), "0");
  EXPECT_EQ(evaluate(repeat("a&&(", 19) + "a" + repeat(")", 19)), "1");
  EXPECT_EQ(evaluate(repeat("1+(a&&", 15) + "1" + repeat(")", 15)), "2");
}

TEST(Expression, NamesTheArgumentThatIsNotThereAndTheCure) {
  EXPECT_EQ(evaluate("valu + 1", "named", {}),
            "event named has no argument \"valu\": did you mean value? It has name, value");
  EXPECT_EQ(evaluate("sector", "named", {}),
            "event named has no argument \"sector\": It has name, value");
  EXPECT_EQ(evaluate("sector", "bare", {}), "event bare has no argument \"sector\": It has none");
}

TEST(Expression, CannotUseStrings) {
  EXPECT_EQ(evaluate("name == 1", "named", {}),
            "argument \"name\" of event named is a string, which has no number: use it as a label, "
            "or leave it out");
}

TEST(Expression, NeedsArgumentsOnlyIfItNamesOne) {
  const auto& event = *catalog().find("numbers");

  EXPECT_FALSE(Expression::parse("1 + 2")->bind(event)->needs_arguments());
  EXPECT_FALSE(Expression::constant(5).bind(event)->needs_arguments());
  EXPECT_TRUE(Expression::parse("a")->bind(event)->needs_arguments());
  EXPECT_TRUE(Expression::parse("0 && a")->bind(event)->needs_arguments());
}

TEST(Expression, KeepsItsTextAndEachNameOnce) {
  const auto parsed = Expression::parse("a + b * a");

  EXPECT_EQ(parsed->text(), "a + b * a");
  EXPECT_EQ(parsed->names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(parsed->is_name());
  EXPECT_TRUE(Expression::parse(" a ")->is_name());
  EXPECT_FALSE(Expression::parse("-a")->is_name());
  EXPECT_FALSE(Expression::parse("1")->is_name());
}

TEST(Expression, ConstantsAreTheirNumber) {
  Integer result = 1;
  const auto error = Expression::constant(-5).bind(*catalog().find("bare"))->evaluate({}, result);

  EXPECT_EQ(error, EvaluationError::none);
  EXPECT_EQ(to_text(result), "-5");
  EXPECT_EQ(Expression::constant(-5).text(), "-5");
}

TEST(Expression, IsZeroUntilItIsParsed) {
  Integer result = 1;

  EXPECT_EQ(BoundExpression().evaluate({}, result), EvaluationError::none);
  EXPECT_EQ(to_text(result), "0");
}

}  // namespace
}  // namespace qemon::exporters
