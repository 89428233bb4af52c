// Framer: cuts the byte stream of a QMP server into messages, and refuses what would be dangerous
// to parse.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace qemon::qmp {

/// A message is one JSON object on one line that ends in CRLF or LF. With `-mon pretty=on` it is
/// spread over many lines; such a message starts with a brace alone on its line, and ends where
/// that brace closes. A line that ends in the middle of any other message is an error at once, so
/// that a damaged stream is noticed and not waited for.
///
/// Length and nesting are limited while scanning, before a recursive parser sees the text. After an
/// error the framer stays in error: there is no way to know where the next message would start.
class Framer {
 public:
  Framer(std::size_t line_bytes_max, std::size_t depth_max)
      : line_bytes_max_(line_bytes_max), depth_max_(depth_max) {}

  void feed(std::string_view bytes);

  /// The next complete message, or nothing when more bytes are needed. The view is valid until the
  /// next call of feed or next.
  Result<std::optional<std::string_view>> next();

 private:
  enum class Step { more, complete };

  Result<Step> scan();
  Result<Step> scan_outside();
  Result<Step> step(char c);
  Error not_a_message() const;
  void forget_message();
  void drop_used();

  const std::size_t line_bytes_max_;
  const std::size_t depth_max_;
  std::string buffer_;
  std::size_t start_ = 0;  // Of the message being scanned, in buffer_.
  std::size_t scan_ = 0;   // Up to here nothing needs to be looked at again.
  std::string open_;       // The closing bracket expected at each level of nesting.
  bool in_string_ = false;
  bool escaped_ = false;
  bool pretty_ = false;
};

}  // namespace qemon::qmp
