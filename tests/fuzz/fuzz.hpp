// What the fuzzers share: ending when a promise is broken, and choices that an input makes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace qemon::fuzz {

/// What must hold for any input. Not assert(), which release builds leave out.
inline void require(bool holds, std::string_view promise) {
  if (holds) return;
  std::fprintf(stderr, "broken: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A message for people: something, and on one line.
inline void require_one_line(std::string_view message, std::string_view promise) {
  require(!message.empty() && message.find('\n') == std::string_view::npos, promise);
}

/// Numbers that depend on the input alone, so that a finding can be repeated, and a corpus is made
/// of nothing but what the product reads.
class Choices {
 public:
  explicit Choices(std::string_view input) {
    for (const char byte : input)
      state_ = (state_ ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  }

  /// 0 to `limit` - 1.
  std::size_t below(std::size_t limit) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::size_t>((state_ >> 11) % limit);
  }

  /// The size of the next piece that `left` bytes come in, as a peer or a file may give them: often
  /// a few bytes, seldom many.
  std::size_t piece(std::size_t left) {
    const std::size_t longest = std::size_t{1} << below(11);
    return std::min(left, 1 + below(longest));
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325U;
};

/// Takes the part of `text` up to `separator`, or all of it.
inline std::string_view take_until(std::string_view& text, std::string_view separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + separator.size(), text.size()));
  return part;
}

}  // namespace qemon::fuzz
