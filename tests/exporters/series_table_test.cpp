#include "exporters/series_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace qemon::exporters {
namespace {

using Form = LabelCode::Form;

LabelCode number(std::uint64_t value) {
  return {value, Form::decimal};
}

/// All series, as "value,value".
std::vector<std::string> texts_of(const SeriesTable& table, std::size_t labels) {
  std::vector<std::string> all;
  for (std::size_t series = 0; series < table.size(); ++series) {
    std::string text;
    for (std::size_t label = 0; label < labels; ++label)
      text += (label == 0 ? "" : ",") + table.text(series, label);
    all.push_back(text);
  }
  return all;
}

TEST(SeriesTable, NumbersSeriesInTheOrderOfTheirFirstSight) {
  SeriesTable table(2, 10);

  const std::array one{number(1), number(2)}, two{number(2), number(1)};

  EXPECT_EQ(table.find_or_add(one, 3), 0U);
  EXPECT_EQ(table.find_or_add(two, 3), 1U);
  EXPECT_EQ(table.find_or_add(one, 3), 0U);
  EXPECT_EQ(texts_of(table, 2), (std::vector<std::string>{"1,2", "2,1"}));
}

TEST(SeriesTable, HasOneSeriesWithoutLabels) {
  SeriesTable table(0, 1);

  EXPECT_EQ(table.find_or_add({}, 0), 0U);
  EXPECT_EQ(table.find_or_add({}, 0), 0U);
  EXPECT_EQ(table.size(), 1U);
  EXPECT_EQ(table.overflow(), 0U);
}

TEST(SeriesTable, PutsWhatIsBeyondTheLimitUnderOtherAndCountsIt) {
  SeriesTable table(2, 2);
  const auto add = [&](std::uint64_t a, std::uint64_t b, unsigned open) {
    const std::array codes{number(a), number(b)};
    return table.find_or_add(codes, open);
  };

  EXPECT_EQ(add(1, 1, 3), 0U);
  EXPECT_EQ(add(2, 2, 3), 1U);
  EXPECT_EQ(add(3, 3, 3), 2U);
  EXPECT_EQ(add(4, 4, 3), 2U);
  EXPECT_EQ(add(1, 1, 3), 0U);
  EXPECT_EQ(add(5, 9, 1), 3U);
  EXPECT_EQ(add(6, 9, 1), 3U);

  EXPECT_EQ(texts_of(table, 2),
            (std::vector<std::string>{"1,1", "2,2", "__other__,__other__", "__other__,9"}));
  EXPECT_EQ(table.overflow(), 4U);
}

TEST(SeriesTable, StaysBoundedWhenOneLabelIsOtherAlready) {
  SeriesTable table(2, 1);
  const std::array first{table.from_record("a"), number(0)};
  EXPECT_EQ(table.find_or_add(first, 3), 0U);

  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::array codes{table.from_record("new" + std::to_string(i)), number(i)};
    EXPECT_EQ(table.find_or_add(codes, 3), 1U);
  }

  EXPECT_EQ(table.size(), 2U);
  EXPECT_EQ(table.overflow(), 100U);
}

TEST(SeriesTable, StaysBoundedWhateverTheOtherLabelsAre) {
  SeriesTable table(2, 2);

  for (std::uint64_t i = 0; i < 1000; ++i) {
    const std::array one_open{number(i), number(i)}, none_open{number(1000), number(i)};
    (void)table.find_or_add(one_open, 1);
    (void)table.find_or_add(none_open, 0);
  }

  EXPECT_LE(table.size(), 2U + 100U + 1U);
  EXPECT_EQ(texts_of(table, 2).back(), "__other__,99");
  EXPECT_EQ(table.overflow(), 1998U);
}

TEST(SeriesTable, DeclaresBeyondTheLimit) {
  SeriesTable table(1, 2);

  for (std::uint64_t i = 0; i < 5; ++i) EXPECT_EQ(table.declare(std::array{number(i)}), i);
  EXPECT_EQ(table.declare(std::array{number(3)}), 3U);
  EXPECT_EQ(table.find_or_add(std::array{number(4)}, 1), 4U);
  EXPECT_EQ(table.find_or_add(std::array{number(5)}, 1), 5U);

  EXPECT_EQ(table.text(5, 0), "__other__");
  EXPECT_EQ(table.overflow(), 1U);
}

TEST(SeriesTable, OneTextHasOneCode) {
  SeriesTable table(1, 10);

  EXPECT_EQ(table.intern("7"), number(7));
  EXPECT_EQ(table.intern("-7"), (LabelCode{static_cast<std::uint64_t>(-7), Form::negative}));
  EXPECT_EQ(table.intern("0x1f"), (LabelCode{0x1f, Form::hex}));
  EXPECT_EQ(table.intern("unknown:7"), (LabelCode{7, Form::unknown}));
  EXPECT_EQ(table.intern("unknown:-7"),
            (LabelCode{static_cast<std::uint64_t>(-7), Form::unknown_negative}));
  EXPECT_EQ(table.intern("__other__"), (LabelCode{0, Form::other}));
  EXPECT_EQ(table.intern("18446744073709551615"), number(~std::uint64_t{0}));
  EXPECT_EQ(table.from_record("7"), table.intern("7"));
  EXPECT_EQ(table.intern("text"), table.from_record("text"));
  EXPECT_NE(table.intern("text"), table.intern("texts"));
}

TEST(SeriesTable, EveryTextComesBackAsItIs) {
  SeriesTable table(1, 100);
  const std::vector<std::string> texts{"",
                                       "0",
                                       "7",
                                       "-1",
                                       "007",
                                       "-0",
                                       "+7",
                                       "0x0",
                                       "0x1F",
                                       "0X1f",
                                       "0x01",
                                       "0x",
                                       "-0x1",
                                       "unknown",
                                       "unknown:",
                                       "unknown:07",
                                       "-",
                                       " 7",
                                       "7 ",
                                       "1e3",
                                       "__other__",
                                       "1.5",
                                       "unknown:-0",
                                       "unknown:x",
                                       "0xffffffffffffffff",
                                       "0x10000000000000000",
                                       "18446744073709551615",
                                       "18446744073709551616",
                                       "-9223372036854775808",
                                       "-9223372036854775809",
                                       "\u00e9\"\\\n"};

  for (const auto& text : texts) table.declare(std::array{table.intern(text)});

  EXPECT_EQ(texts_of(table, 1), texts);
}

TEST(SeriesTable, ShowsEveryForm) {
  SeriesTable table(1, 10);

  for (const auto code :
       {number(~std::uint64_t{0}), LabelCode{~std::uint64_t{0}, Form::negative},
        LabelCode{~std::uint64_t{0}, Form::hex}, LabelCode{5, Form::unknown},
        LabelCode{~std::uint64_t{0}, Form::unknown_negative}, LabelCode{0, Form::other}})
    table.declare(std::array{code});

  EXPECT_EQ(texts_of(table, 1),
            (std::vector<std::string>{"18446744073709551615", "-1", "0xffffffffffffffff",
                                      "unknown:5", "unknown:-1", "__other__"}));
}

TEST(SeriesTable, CutsLongTexts) {
  SeriesTable table(1, 10);

  const auto cut = table.intern(std::string(300, 'x'));
  const auto same = table.from_record(std::string(129, 'x'));

  EXPECT_EQ(cut, same);
  table.declare(std::array{cut});
  EXPECT_EQ(table.text(0, 0), std::string(label_text_max, 'x'));
}

TEST(SeriesTable, TextsAreUtf8) {
  SeriesTable table(1, 10);

  const auto code = table.from_record("a\xff");

  EXPECT_EQ(table.from_record("a\xfe"), code);
  EXPECT_EQ(table.intern("a\uFFFD"), code);
  table.declare(std::array{code});
  EXPECT_EQ(table.text(0, 0), "a\uFFFD");
}

TEST(SeriesTable, TextsOfRecordsAreOtherOnceItIsFull) {
  SeriesTable table(1, 1);
  table.declare(std::array{table.intern("a")});

  EXPECT_EQ(table.from_record("b"), (LabelCode{0, Form::other}));
  EXPECT_EQ(table.from_record("a"), table.intern("a"));
  EXPECT_NE(table.intern("b"), (LabelCode{0, Form::other}));
}

TEST(SeriesTable, TextsOfRecordsAreLimitedWithoutSeriesToo) {
  SeriesTable table(2, 3);

  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 100; ++i)
    if (const auto code = table.from_record("t" + std::to_string(i)); code.form == Form::text)
      numbers.insert(code.bits);

  EXPECT_EQ(numbers.size(), 6U);
}

TEST(SeriesTable, FindsThousandsOfSeriesAgain) {
  SeriesTable table(3, 50'000);
  std::map<std::array<std::uint64_t, 3>, std::uint32_t> expected;
  std::mt19937_64 random(3);

  for (int i = 0; i < 30'000; ++i) {
    const std::array<std::uint64_t, 3> key{random() % 50, (random() % 50) << 56, random() % 10};
    const std::array codes{number(key[0]), LabelCode{key[1], Form::hex}, number(key[2])};
    const auto series = table.find_or_add(codes, 7);
    const auto [known, is_new] = expected.emplace(key, series);
    ASSERT_EQ(known->second, series);
    if (is_new) {
      ASSERT_EQ(series + 1, table.size());
    }
  }

  EXPECT_EQ(table.size(), expected.size());
  EXPECT_EQ(table.overflow(), 0U);
}

}  // namespace
}  // namespace qemon::exporters
