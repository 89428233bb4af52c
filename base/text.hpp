// Taking text that a program or the kernel printed apart, from the front; numbers and lists as
// text.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace qemon {

/// Removes the first line from `text` and returns it without its end.
[[nodiscard]] std::string_view take_line(std::string_view& text);

/// Without blanks at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

/// The first few of a list: "a, b, c, d and 12 more".
[[nodiscard]] std::string shortened(const std::vector<std::string>& names);

/// "0x7c00".
[[nodiscard]] std::string hexadecimal(std::uint64_t number);

/// A decimal number at the beginning of `text`, which then goes on behind it.
template <typename Number>
[[nodiscard]] std::optional<Number> take_number(std::string_view& text) {
  Number number{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

/// The same, of a number that is not negative.
[[nodiscard]] inline std::optional<std::uint64_t> take_count(std::string_view& text) {
  return take_number<std::uint64_t>(text);
}

}  // namespace qemon
