#include "cli/picture.hpp"

#include <png.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "base/utf8.hpp"
#include "cli/pixel_font.hpp"
#include "cli/svg.hpp"

namespace qemon::cli {
namespace {

constexpr int zoom = 2;

std::string hex_colour(const Colour& colour) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "#%02x%02x%02x", colour.red, colour.green, colour.blue);
  return text.data();
}

/// The pixels of a PNG file.
class Canvas {
 public:
  Canvas(int width, int height)
      : width_(width * zoom),
        height_(height * zoom),
        pixels_(static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_) * 3, 0xff) {}

  [[nodiscard]] int width() const { return width_; }
  [[nodiscard]] int height() const { return height_; }
  [[nodiscard]] const std::uint8_t* data() const { return pixels_.data(); }

  void draw(const Picture::Rectangle& what) {
    fill(what.x * zoom, what.y * zoom, what.width * zoom, what.height * zoom, what.colour);
  }

  void draw(const Picture::Text& what) {
    const auto characters = ascii(what.text);
    const int length = static_cast<int>(characters.size()) * picture_character_width;
    int x = what.x;
    if (what.anchor == Picture::Anchor::middle) x -= length / 2;
    if (what.anchor == Picture::Anchor::end) x -= length;
    for (const char c : characters) {
      draw_character(c, x * zoom, what.y * zoom, what);
      x += picture_character_width;
    }
  }

 private:
  /// One `?` for each character that the font does not have.
  static std::string ascii(std::string_view text) {
    std::string shown;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = std::max<std::size_t>(utf8_length(text.substr(at)), 1);
      shown += length == 1 && text[at] >= ' ' && text[at] <= '~' ? text[at] : '?';
      at += length;
    }
    return shown;
  }

  /// On the base line `y`, in dots of zoom times zoom pixels.
  void draw_character(char c, int x, int y, const Picture::Text& what) {
    const auto& glyph = pixel_glyph(c);
    for (int row = 0; row < pixel_font_height; ++row) {
      for (int column = 0; column < pixel_font_width; ++column) {
        if (!glyph.at(row, column)) continue;
        const int top = y - (pixel_font_ascent - row) * zoom;
        fill(x + column * zoom, top, what.bold ? zoom + 1 : zoom, zoom, what.colour);
      }
    }
  }

  void fill(int x, int y, int width, int height, const Colour& colour) {
    const int right = std::min(x + width, width_), bottom = std::min(y + height, height_);
    for (int row = std::max(y, 0); row < bottom; ++row) {
      for (int column = std::max(x, 0); column < right; ++column) {
        const auto at = (static_cast<std::size_t>(row) * static_cast<std::size_t>(width_) +
                         static_cast<std::size_t>(column)) *
                        3;
        pixels_[at] = colour.red;
        pixels_[at + 1] = colour.green;
        pixels_[at + 2] = colour.blue;
      }
    }
  }

  int width_;
  int height_;
  std::vector<std::uint8_t> pixels_;
};

}  // namespace

std::string to_svg(const Picture& picture) {
  std::string svg = svg_head(picture.width, picture.height,
                             "font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" "
                             "font-size=\"11.6\"");
  for (const auto& each : picture.rectangles) {
    svg += "<rect x=\"" + std::to_string(each.x) + "\" y=\"" + std::to_string(each.y) +
           "\" width=\"" + std::to_string(each.width) + "\" height=\"" +
           std::to_string(each.height) + "\" fill=\"" + hex_colour(each.colour) + "\"";
    svg += each.title.empty() ? "/>\n" : "><title>" + svg_text(each.title) + "</title></rect>\n";
  }
  for (const auto& each : picture.texts) {
    svg += "<text x=\"" + std::to_string(each.x) + "\" y=\"" + std::to_string(each.y) +
           "\" fill=\"" + hex_colour(each.colour) + "\"";
    if (each.anchor == Picture::Anchor::middle) svg += " text-anchor=\"middle\"";
    if (each.anchor == Picture::Anchor::end) svg += " text-anchor=\"end\"";
    if (each.bold) svg += " font-weight=\"bold\"";
    svg += ">" + svg_text(each.text) + "</text>\n";
  }
  return svg + "</svg>\n";
}

Result<void> write_png(const Picture& picture, const std::string& path) {
  Canvas canvas(picture.width, picture.height);
  for (const auto& each : picture.rectangles) canvas.draw(each);
  for (const auto& each : picture.texts) canvas.draw(each);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(canvas.width());
  image.height = static_cast<png_uint_32>(canvas.height());
  image.format = PNG_FORMAT_RGB;
  std::FILE* const file = std::fopen(path.c_str(), "wbe");
  if (file == nullptr) return system_error(errno, path);
  const bool written =
      png_image_write_to_stdio(&image, file, 0, canvas.data(), canvas.width() * 3, nullptr) != 0;
  const bool closed = std::fclose(file) == 0;
  const int number = errno;
  if (!written) return Error{path + ": " + image.message};
  if (!closed) return system_error(number, path);
  return {};
}

}  // namespace qemon::cli
