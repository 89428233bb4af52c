// UTF-8 in texts that come from outside: what is valid, and what to do with the rest.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace qemon {

/// The length of the UTF-8 sequence at the front of `text`, or 0 if there is none: nothing there,
/// cut off, an overlong form, a surrogate, or a code point above U+10FFFF.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

/// `text` with every byte that is not part of valid UTF-8 replaced by U+FFFD.
[[nodiscard]] std::string to_valid_utf8(std::string_view text);

/// Whether it is valid UTF-8 without characters that control something: line ends, escapes, and
/// those that reorder what is seen.
[[nodiscard]] bool is_one_line(std::string_view text);

/// `text` fit for the inside of a one-line message: control characters become blanks, and it is cut
/// after `bytes_max` bytes.
[[nodiscard]] std::string one_line(std::string_view text, std::size_t bytes_max = 200);

}  // namespace qemon
