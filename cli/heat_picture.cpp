#include "cli/heat_picture.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>

#include "base/text.hpp"
#include "cli/address_map.hpp"
#include "cli/heat_scale.hpp"
#include "cli/heat_text.hpp"
#include "cli/profile_text.hpp"
#include "cli/text.hpp"

namespace qemon::cli {
namespace {

constexpr std::size_t cells = 64, lines_max = 96;
constexpr int cell_size = 12, row_height = 14;
constexpr int margin = 24, header_height = 84, scale_height = 84;
constexpr int scale_width = 384, scale_bar = 12;
constexpr int characters_max = 110;

constexpr Colour grey{0x77, 0x77, 0x77};
constexpr Colour light{0xec, 0xec, 0xec};

using Anchor = Picture::Anchor;

class Drawing {
 public:
  Drawing(const ExecutionProfile& profile, const Symbols& symbols)
      : profile_(profile),
        symbols_(symbols),
        map_(lay_out(profile.pages, profile.page_bytes, cells, lines_max)),
        scale_(map_.most),
        left_(margin + 10 +
              static_cast<int>(hexadecimal(map_.rows.back().address).size()) *
                  picture_character_width) {
    // Counters are busiest first, and the first of a cell stays.
    for (const auto& counter : profile.counters)
      busiest_.try_emplace(counter.value / map_.cell_bytes, counter.value);
  }

  Picture draw() {
    draw_header();
    int y = header_height;
    for (const auto& row : map_.rows) {
      if (row.gap_bytes > 0) {
        text(left_ + 4, y + 11, "~ " + binary_bytes(row.gap_bytes) + " without samples", grey);
        y += row_height + 2;
      }
      draw_row(row, y);
      y += row_height;
    }
    draw_scale(y + 20);
    picture_.width = left_ + static_cast<int>(cells) * cell_size + margin;
    picture_.height = y + scale_height;
    return std::move(picture_);
  }

 private:
  void text(int x, int y, std::string what, const Colour& colour = {0x22, 0x22, 0x22},
            Anchor anchor = Anchor::start) {
    picture_.texts.push_back({x, y, std::move(what), anchor, colour, false});
  }

  void draw_header() {
    std::string title = "Executed code: " + printable(profile_.source);
    if (title.size() > characters_max) title = title.substr(0, characters_max) + "...";
    picture_.texts.push_back(
        {margin, 26, std::move(title), Anchor::start, {0x22, 0x22, 0x22}, true});
    text(margin, 44, samples_text(profile_) + "; " + region_text(profile_), grey);
    for (std::size_t cell = 0; cell < cells; cell += 16)
      text(left_ + static_cast<int>(cell) * cell_size, header_height - 8,
           cell == 0 ? "+0" : "+" + hexadecimal(cell * map_.cell_bytes), grey);
  }

  void draw_row(const AddressMap::Row& row, int y) {
    text(left_ - 10, y + 10, hexadecimal(row.address), {0x22, 0x22, 0x22}, Anchor::end);
    for (std::size_t cell = 0; cell < row.counts.size(); ++cell) {
      const std::uint64_t count = row.counts[cell];
      Picture::Rectangle drawn{left_ + static_cast<int>(cell) * cell_size,
                               y,
                               cell_size - 1,
                               row_height - 2,
                               count == 0 ? light : heat_colour(scale_.place(count)),
                               {}};
      if (count > 0) drawn.title = title_of(row.address + cell * map_.cell_bytes, count);
      picture_.rectangles.push_back(std::move(drawn));
    }
  }

  [[nodiscard]] std::string title_of(std::uint64_t address, std::uint64_t count) const {
    std::string title = hexadecimal(address) + " to " +
                        hexadecimal(address + (map_.cell_bytes - 1)) + ": " +
                        counted(count, "sample") + ", " + share_text(count, profile_.samples);
    const auto busiest = busiest_.find(address / map_.cell_bytes);
    if (busiest == busiest_.end()) return title;
    title += "; most often at " + hexadecimal(busiest->second);
    if (const auto symbol = symbols_.find(busiest->second))
      title += " (" + printable(*symbol) + ")";
    return title;
  }

  void draw_scale(int y) {
    for (int x = 0; x < scale_width; x += 2)
      picture_.rectangles.push_back({left_ + x,
                                     y,
                                     2,
                                     scale_bar,
                                     heat_colour(static_cast<double>(x) / (scale_width - 2)),
                                     {}});
    for (const auto& [place, mark] : scale_.marks()) {
      const int x = left_ + static_cast<int>(std::lround(place * (scale_width - 1)));
      picture_.rectangles.push_back({x, y + scale_bar, 1, 4, grey, {}});
      text(x, y + scale_bar + 15, mark, grey, Anchor::middle);
    }
    text(left_, y + scale_bar + 33,
         "samples in a cell, logarithmic; a cell is " +
             cell_text(map_.cell_bytes, profile_.page_bytes) + ", a row " +
             binary_bytes(map_.cell_bytes * cells),
         grey);
    picture_.rectangles.push_back(
        {left_ + scale_width + 40, y, cell_size - 1, row_height - 2, light, {}});
    text(left_ + scale_width + 40 + cell_size + 4, y + 10, "none", grey);
  }

  const ExecutionProfile& profile_;
  const Symbols& symbols_;
  AddressMap map_;
  HeatScale scale_;
  int left_;
  std::map<std::uint64_t, std::uint64_t> busiest_;  // Counters, by cell.
  Picture picture_;
};

}  // namespace

Picture heat_picture(const ExecutionProfile& profile, const Symbols& symbols) {
  return Drawing(profile, symbols).draw();
}

}  // namespace qemon::cli
