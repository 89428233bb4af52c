#include "cli/svg.hpp"

#include <array>
#include <cstdio>

#include "base/utf8.hpp"

namespace qemon::cli {

std::string svg_number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f", value);
  return text.data();
}

std::string svg_text(std::string_view text) {
  std::string shown;
  for (const char c : to_valid_utf8(text)) {
    if (c == '&') {
      shown += "&amp;";
    } else if (c == '<') {
      shown += "&lt;";
    } else if (c == '>') {
      shown += "&gt;";
    } else if (c == '"') {
      shown += "&quot;";
    } else {
      shown += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return shown;
}

std::string svg_head(double width, double height, std::string_view style) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
         "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" +
         svg_number(width) + "\" height=\"" + svg_number(height) + "\" viewBox=\"0 0 " +
         svg_number(width) + " " + svg_number(height) + "\" " + std::string(style) +
         ">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
}

}  // namespace qemon::cli
