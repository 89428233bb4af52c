// What SVG files are made of.
#pragma once

#include <string>
#include <string_view>

namespace qemon::cli {

/// With two decimals.
[[nodiscard]] std::string svg_number(double value);
/// For the text and the attributes of XML, which knows no control characters at all.
[[nodiscard]] std::string svg_text(std::string_view text);
/// What the file begins with, and a white ground; "</svg>" is to end it. `style`: further
/// attributes of the whole.
[[nodiscard]] std::string svg_head(double width, double height, std::string_view style);

}  // namespace qemon::cli
