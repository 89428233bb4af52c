// Picture: rectangles and lines of text, to be written as SVG or as PNG.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "cli/heat_scale.hpp"

namespace qemon::cli {

/// Everything is in whole pixels, from the top left corner of a white ground.
struct Picture {
  struct Rectangle {
    int x = 0, y = 0, width = 0, height = 0;
    Colour colour;
    std::string title;  ///< Shown where a pointer rests on it, in SVG.
  };
  enum class Anchor : std::uint8_t { start, middle, end };
  struct Text {
    int x = 0;
    int y = 0;  ///< Of the base line.
    std::string text;
    Anchor anchor = Anchor::start;
    Colour colour{0x22, 0x22, 0x22};
    bool bold = false;
  };

  int width = 0;
  int height = 0;
  std::vector<Rectangle> rectangles;
  std::vector<Text> texts;
};

/// As wide as a character is for both, since the font has a fixed width.
inline constexpr int picture_character_width = 7;

/// A whole SVG file.
[[nodiscard]] std::string to_svg(const Picture& picture);

/// Writes a PNG file, of twice as many pixels each way, for screens that have them.
[[nodiscard]] Result<void> write_png(const Picture& picture, const std::string& path);

}  // namespace qemon::cli
