// A font of dots for pictures that have to do without one of the system's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace qemon::cli {

inline constexpr int pixel_font_width = 5;
inline constexpr int pixel_font_height = 9;
inline constexpr int pixel_font_ascent = 7;  // Rows above the base line.

struct PixelGlyph {
  std::array<std::uint8_t, pixel_font_height> rows{};  // The leftmost dot is the highest bit.

  [[nodiscard]] constexpr bool at(int row, int column) const {
    return (rows[static_cast<std::size_t>(row)] >> (pixel_font_width - 1 - column) & 1) != 0;
  }
};

/// The characters of ASCII from the blank on, sixteen beside each other, a column apart.
// clang-format off
inline constexpr std::size_t pixel_glyphs_beside = 16;
inline constexpr std::array<std::string_view, 54> pixel_font_drawing{{
    "        #    # #   # #    #   ##     ##     #      #   #                                       ",
    "        #    # #   # #   #### ##  # #  #    #     #     #     #     #                         #",
    "        #    # #  ##### # #      #  # #    #     #       #  # # #   #                        # ",
    "        #          # #   ###    #    #           #       #   ###  #####       #####         #  ",
    "        #         #####   # #  #    # # #        #       #  # # #   #                      #   ",
    "                   # #  ####  #  ## #  #          #     #     #     #     ##         ##   #    ",
    "        #          # #    #      ##  ## #          #   #                  #          ##        ",
    "                                                                         #                     ",
    "                                                                                               ",
    " ###    #    ###  #####    #  #####   ##  #####  ###   ###                 #         #     ### ",
    "#   #  ##   #   #    #    ##  #      #        # #   # #   #  ##    ##     #           #   #   #",
    "#  ##   #       #   #    # #  ####  #        #  #   # #   #  ##    ##    #    #####    #      #",
    "# # #   #      #     #  #  #      # ####    #    ###   ####             #               #    # ",
    "##  #   #     #       # #####     # #   #  #    #   #     #  ##    ##    #    #####    #    #  ",
    "#   #   #    #    #   #    #  #   # #   #  #    #   #    #   ##    ##     #           #        ",
    " ###   ###  #####  ###     #   ###   ###   #     ###   ##           #      #         #      #  ",
    "                                                                   #                           ",
    "                                                                                               ",
    " ###   ###  ####   ###  ###   ##### #####  ###  #   #  ###    ### #   # #     #   # #   #  ### ",
    "#   # #   # #   # #   # #  #  #     #     #   # #   #   #      #  #  #  #     ## ## #   # #   #",
    "# ### #   # #   # #     #   # #     #     #     #   #   #      #  # #   #     # # # ##  # #   #",
    "# # # #   # ####  #     #   # ####  ####  # ### #####   #      #  ##    #     # # # # # # #   #",
    "# ### ##### #   # #     #   # #     #     #   # #   #   #      #  # #   #     #   # #  ## #   #",
    "#     #   # #   # #   # #  #  #     #     #   # #   #   #   #  #  #  #  #     #   # #   # #   #",
    " ###  #   # ####   ###  ###   ##### #      #### #   #  ###   ##   #   # ##### #   # #   #  ### ",
    "                                                                                               ",
    "                                                                                               ",
    "####   ###  ####   #### ##### #   # #   # #   # #   # #   # #####  ###         ###    #        ",
    "#   # #   # #   # #       #   #   # #   # #   # #   # #   #     #  #    #        #   # #       ",
    "#   # #   # #   # #       #   #   # #   # #   #  # #  #   #    #   #     #       #  #   #      ",
    "####  #   # ####   ###    #   #   # #   # # # #   #    # #    #    #      #      #             ",
    "#     # # # # #       #   #   #   # #   # # # #  # #    #    #     #       #     #             ",
    "#     #  #  #  #      #   #   #   #  # #  # # # #   #   #   #      #        #    #             ",
    "#      ## # #   # ####    #    ###    #    # #  #   #   #   #####  ###         ###             ",
    "                                                                                          #####",
    "                                                                                               ",
    " #          #               #         ##        #       #      #   #     ##                    ",
    "  #         #               #        #  #       #                  #      #                    ",
    "       ###  # ##   ###   ## #  ###   #     #### # ##   ##     ##   #  #   #   ## #  # ##   ### ",
    "          # ##  # #     #  ## #   # ###   #   # ##  #   #      #   # #    #   # # # ##  # #   #",
    "       #### #   # #     #   # #####  #    #   # #   #   #      #   ##     #   # # # #   # #   #",
    "      #   # #   # #   # #   # #      #    #   # #   #   #      #   # #    #   # # # #   # #   #",
    "       #### ####   ###   ####  ###   #     #### #   #  ###     #   #  #  ###  # # # #   #  ### ",
    "                                              #             #  #                               ",
    "                                           ###               ##                                ",
    "                         #                                           #    #    #               ",
    "                         #                                          #     #     #              ",
    "####   #### # ##   #### ###   #   # #   # #   # #   # #   # #####   #     #     #    #         ",
    "#   # #   # ##  # #      #    #   # #   # #   #  # #  #   #    #   #      #      #  # # #      ",
    "#   # #   # #      ###   #    #   # #   # # # #   #   #   #   #     #     #     #      #       ",
    "#   # #   # #         #  #  # #  ##  # #  # # #  # #  #   #  #      #     #     #              ",
    "####   #### #     ####    ##   ## #   #    # #  #   #  #### #####    #    #    #               ",
    "#         #                                               #                                    ",
    "#         #                                            ###                                     ",
}};
// clang-format on

inline constexpr auto pixel_font = [] {
  std::array<PixelGlyph, 96> font{};
  for (std::size_t i = 0; i < font.size(); ++i) {
    for (std::size_t row = 0; row < pixel_font_height; ++row) {
      const auto line = pixel_font_drawing[i / pixel_glyphs_beside * pixel_font_height + row];
      const auto dots = line.substr(i % pixel_glyphs_beside * (pixel_font_width + 1));
      for (std::size_t column = 0; column < pixel_font_width; ++column)
        font[i].rows[row] =
            static_cast<std::uint8_t>(font[i].rows[row] << 1 | (dots[column] == '#'));
    }
  }
  return font;
}();

/// That of a printable character of ASCII; the blank for any other.
[[nodiscard]] constexpr const PixelGlyph& pixel_glyph(char c) {
  return pixel_font[c >= ' ' && c <= '~' ? static_cast<std::size_t>(c - ' ') : 0];
}

}  // namespace qemon::cli
