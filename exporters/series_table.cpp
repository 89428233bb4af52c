#include "exporters/series_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.hpp"
#include "base/utf8.hpp"
#include "exporters/pack.hpp"

namespace qemon::exporters {
namespace {

constexpr std::string_view unknown_prefix = "unknown:";
constexpr std::string_view other_text = "__other__";
// A low limit is for what records give; what the file tells should still be told apart beyond it.
constexpr std::size_t others_min = 100;

std::uint64_t hash_codes(std::span<const LabelCode> codes) {
  constexpr std::uint64_t factor = 0x9e3779b97f4a7c15;
  std::uint64_t hash = 0;
  for (const auto& code : codes) {
    hash = (hash ^ code.bits ^ static_cast<std::uint64_t>(code.form) << 60U) * factor;
    hash ^= hash >> 32U;
  }
  return hash;
}

std::string to_text(std::uint64_t bits, bool negative) {
  return negative ? std::to_string(static_cast<std::int64_t>(bits)) : std::to_string(bits);
}

/// The number that `text` is, if it is written as to_text writes it.
bool read_number(std::string_view text, LabelCode::Form positive, LabelCode::Form negative,
                 LabelCode& code) {
  std::uint64_t bits = 0;
  if (text.starts_with('-')) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    bits = static_cast<std::uint64_t>(value);
  } else {
    std::from_chars(text.data(), text.data() + text.size(), bits);
  }
  const bool below = text.starts_with('-');
  if (to_text(bits, below) != text) return false;
  code = {bits, below ? negative : positive};
  return true;
}

/// What has a form of its own gets it, so that the string "7" and the number 7 are one series.
bool read_plain(std::string_view text, LabelCode& code) {
  using Form = LabelCode::Form;
  if (text == other_text) {
    code = {0, Form::other};
    return true;
  }
  if (read_number(text, Form::decimal, Form::negative, code)) return true;
  if (text.starts_with(unknown_prefix))
    return read_number(text.substr(unknown_prefix.size()), Form::unknown, Form::unknown_negative,
                       code);
  if (!text.starts_with("0x")) return false;
  std::uint64_t bits = 0;
  std::from_chars(text.data() + 2, text.data() + text.size(), bits, 16);
  code = {bits, Form::hex};
  return hexadecimal(bits) == text;
}

}  // namespace

std::uint32_t SeriesTable::find(std::span<const LabelCode> codes) const {
  if (slots_.empty()) return none;
  for (std::size_t at = hash_codes(codes) & (slots_.size() - 1);;
       at = (at + 1) & (slots_.size() - 1)) {
    const auto series = slots_[at];
    if (series == none) return none;
    if (std::equal(codes.begin(), codes.end(),
                   codes_.begin() + static_cast<std::ptrdiff_t>(series * label_count_)))
      return series;
  }
}

std::uint32_t SeriesTable::find_or_add(std::span<const LabelCode> codes, unsigned open) {
  // A string beyond the limit is `__other__` already when it comes here; see from_record().
  bool over = false;
  for (std::size_t i = 0; i < label_count_; ++i)
    over |= (open >> i & 1U) != 0 && codes[i].form == LabelCode::Form::other;
  if (over) ++overflow_;
  if (const auto known = find(codes); known != none) return known;
  if (size_ < limit_) return declare(codes);
  if (!over) ++overflow_;
  std::array<LabelCode, labels_max> others;
  std::copy(codes.begin(), codes.end(), others.begin());
  for (std::size_t i = 0; i < label_count_; ++i)
    if ((open >> i & 1U) != 0) others[i] = {0, LabelCode::Form::other};
  if (const auto known = find(std::span(others).first(label_count_)); known != none) return known;
  // What the file tells may combine to more than the limit as well.
  if (open == 0 || others_ >= std::max(limit_, others_min))
    others.fill({0, LabelCode::Form::other});
  const auto before = size_;
  const auto series = declare(std::span(others).first(label_count_));
  others_ += size_ - before;
  return series;
}

std::uint32_t SeriesTable::declare(std::span<const LabelCode> codes) {
  if (const auto known = find(codes); known != none) return known;
  if (slots_.size() < (size_ + 1) * 2) grow();
  codes_.insert(codes_.end(), codes.begin(), codes.end());
  std::size_t at = hash_codes(codes) & (slots_.size() - 1);
  while (slots_[at] != none) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = static_cast<std::uint32_t>(size_);
  return static_cast<std::uint32_t>(size_++);
}

void SeriesTable::grow() {
  slots_.assign(std::max<std::size_t>(slots_.size() * 2, 16), none);
  for (std::size_t series = 0; series < size_; ++series) {
    const auto codes = std::span(codes_).subspan(series * label_count_, label_count_);
    std::size_t at = hash_codes(codes) & (slots_.size() - 1);
    while (slots_[at] != none) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = static_cast<std::uint32_t>(series);
  }
}

LabelCode SeriesTable::intern(std::string_view text) {
  text = text.substr(0, label_text_max);
  if (const auto known = texts_.find(text); known != texts_.end()) return known->second;
  // Texts that look the same on the page are the same.
  const auto shown = to_valid_utf8(text);
  LabelCode code;
  if (const auto known = texts_.find(shown); known != texts_.end()) {
    code = known->second;
  } else if (!read_plain(shown, code)) {
    code = {text_of_.size(), LabelCode::Form::text};
    text_of_.push_back(shown);
  }
  texts_.emplace(shown, code);
  texts_.emplace(text, code);
  return code;
}

LabelCode SeriesTable::from_record(std::string_view text) {
  text = text.substr(0, label_text_max);
  if (const auto known = texts_.find(text); known != texts_.end()) return known->second;
  // The second is for texts that never come to a series of their own, such as those of begins
  // without an end.
  if (size_ >= limit_ || texts_of_records_ >= limit_ * label_count_)
    return {0, LabelCode::Form::other};
  ++texts_of_records_;
  return intern(text);
}

std::string SeriesTable::text(std::size_t series, std::size_t label) const {
  const auto& code = codes_[series * label_count_ + label];
  switch (code.form) {
    case LabelCode::Form::text:
      return text_of_[code.bits];
    case LabelCode::Form::decimal:
    case LabelCode::Form::negative:
      return to_text(code.bits, code.form == LabelCode::Form::negative);
    case LabelCode::Form::hex:
      return hexadecimal(code.bits);
    case LabelCode::Form::unknown:
    case LabelCode::Form::unknown_negative:
      return std::string(unknown_prefix) +
             to_text(code.bits, code.form == LabelCode::Form::unknown_negative);
    case LabelCode::Form::other:
      return std::string(other_text);
  }
  return {};
}

}  // namespace qemon::exporters
