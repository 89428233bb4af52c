#include "base/utf8.hpp"

namespace qemon {

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned char low = 0x80;  // What the second byte may be: narrower behind four of the lead bytes.
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  return length;
}

std::string to_valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      valid += "\xEF\xBF\xBD";
      text.remove_prefix(1);
    } else {
      valid += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return valid;
}

bool is_one_line(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    const auto character = text.substr(0, length);
    const auto lead = static_cast<unsigned char>(character[0]);
    if (length == 1 && (lead < 0x20 || lead == 0x7f)) return false;
    // U+0080 to U+009F: controls as well.
    if (length == 2 && lead == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0)
      return false;
    // U+200E, U+200F, U+2028 to U+202E and U+2066 to U+2069: ends of lines and directions.
    if ((character >= "\u200E" && character <= "\u200F") ||
        (character >= "\u2028" && character <= "\u202E") ||
        (character >= "\u2066" && character <= "\u2069"))
      return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string one_line(std::string_view text, std::size_t bytes_max) {
  std::string line(text.substr(0, bytes_max));
  // Do not leave half a UTF-8 character behind the cut.
  if (text.size() > bytes_max) {
    while (!line.empty() && (static_cast<unsigned char>(text[line.size()]) & 0xC0) == 0x80) {
      line.pop_back();
    }
    line += "...";
  }
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  const auto end = line.find_last_not_of(' ');
  line.resize(end == std::string::npos ? 0 : end + 1);
  return line;
}

}  // namespace qemon
