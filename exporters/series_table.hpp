// SeriesTable: which combinations of label values one metric of one VM has, found without a string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace qemon::exporters {

/// A label's value as a number. One text has one code, so that two rules that give the same text
/// mean the same series.
struct LabelCode {
  enum class Form : std::uint8_t {
    text,      ///< Interned; `bits` is its number.
    decimal,   ///< `bits` itself.
    negative,  ///< `bits` as an int64_t below 0.
    hex,
    unknown,           ///< "unknown:7".
    unknown_negative,  ///< "unknown:-7".
    other,             ///< "__other__"
  };
  std::uint64_t bits = 0;
  Form form = Form::text;

  bool operator==(const LabelCode&) const = default;
};

/// Longer strings are cut: a label is read by people.
inline constexpr std::size_t label_text_max = 128;

/// Series are numbered from 0 in the order of their first sight and never go away.
class SeriesTable {
 public:
  /// No series.
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  /// `limit`: how many series there may be before what is new is counted under `__other__`.
  SeriesTable(std::size_t label_count, std::size_t limit)
      : label_count_(label_count), limit_(limit) {}

  /// The series of `codes` (as many as there are labels). Over the limit it is the one in which the
  /// labels of `open` (a bit each) are `__other__`, or all labels if there are none of them or too
  /// many such series. overflow() counts each record that goes there.
  [[nodiscard]] std::uint32_t find_or_add(std::span<const LabelCode> codes, unsigned open);
  /// The same without a limit, for what the pack's file itself tells.
  std::uint32_t declare(std::span<const LabelCode> codes);

  /// The code of a text that the pack's file tells.
  [[nodiscard]] LabelCode intern(std::string_view text);
  /// The code of a text from a record: `__other__` if it is new and the table is full, or has as
  /// many texts as it may have series and labels.
  [[nodiscard]] LabelCode from_record(std::string_view text);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::uint64_t overflow() const { return overflow_; }
  /// The text of label number `label` of a series, in UTF-8.
  [[nodiscard]] std::string text(std::size_t series, std::size_t label) const;

 private:
  [[nodiscard]] std::uint32_t find(std::span<const LabelCode> codes) const;
  void grow();

  std::size_t label_count_;
  std::size_t limit_;
  std::size_t size_ = 0;
  std::vector<LabelCode> codes_;      // label_count_ for each series.
  std::vector<std::uint32_t> slots_;  // A power of two of them, at most half used.
  std::uint64_t overflow_ = 0;
  std::size_t others_ = 0;  // Series that were made beyond the limit.

  struct TextHash {
    // NOLINTNEXTLINE(readability-identifier-naming): the name that the standard library looks for.
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  std::unordered_map<std::string, LabelCode, TextHash, std::equal_to<>> texts_;
  std::vector<std::string> text_of_;  // By the number of a text.
  std::size_t texts_of_records_ = 0;
};

}  // namespace qemon::exporters
