#include "cli/heat_text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <ostream>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "cli/address_map.hpp"
#include "cli/heat_scale.hpp"
#include "cli/text.hpp"

namespace qemon::cli {
namespace {

constexpr std::size_t lines_max = 40;
constexpr std::size_t cells_min = 8, cells_max = 128;
constexpr std::string_view steps = ":-=+*#%@";
constexpr char nothing = '.';
constexpr std::size_t title_width = 10;  // As the lines above the map have it.

class Printer {
 public:
  Printer(const ExecutionProfile& profile, std::size_t columns, ColourMode mode, std::ostream& out)
      : profile_(profile),
        mode_(mode),
        out_(out),
        label_width_(std::max(title_width, hexadecimal(profile.pages.back().address).size() + 2)),
        map_(lay_out(profile.pages, profile.page_bytes, cells_in(columns), lines_max)),
        scale_(map_.most) {}

  void print() {
    print_offsets();
    for (const auto& row : map_.rows) print_row(row);
    out_ << '\n';
    print_scale();
    out_ << padded("cell") << cell_text(map_.cell_bytes, profile_.page_bytes) << "; a row is "
         << binary_bytes(map_.cell_bytes * map_.cells) << '\n';
  }

 private:
  [[nodiscard]] std::size_t cells_in(std::size_t columns) const {
    const std::size_t room = columns > label_width_ ? columns - label_width_ : 1;
    return std::clamp(std::bit_floor(room), cells_min, cells_max);
  }

  [[nodiscard]] std::string padded(std::string text) const {
    text.resize(std::max(label_width_, text.size() + 1), ' ');
    return text;
  }

  /// "+0              +0x10000": from a row's beginning.
  void print_offsets() {
    std::string line = padded("");
    const std::size_t every = map_.cells > 16 ? 16 : map_.cells;
    for (std::size_t cell = 0; cell < map_.cells; cell += every) {
      const std::string offset = cell == 0 ? "+0" : "+" + hexadecimal(cell * map_.cell_bytes);
      if (offset.size() >= every && cell > 0) break;
      line.resize(label_width_ + cell, ' ');
      line += offset;
    }
    out_ << line << '\n';
  }

  void print_row(const AddressMap::Row& row) {
    if (row.gap_bytes > 0)
      out_ << padded("") << "~ " << binary_bytes(row.gap_bytes) << " without samples\n";
    out_ << padded(hexadecimal(row.address));
    for (const std::uint64_t count : row.counts) {
      if (count == 0) {
        paint("");
        out_ << nothing;
      } else if (mode_ == ColourMode::none) {
        out_ << steps[scale_.step(count, steps.size())];
      } else {
        paint(background(heat_colour(scale_.place(count))));
        out_ << ' ';
      }
    }
    paint("");
    out_ << '\n';
  }

  void print_scale() {
    if (mode_ == ColourMode::none) return print_plain_scale();
    constexpr std::size_t width = 48;
    out_ << padded("scale");
    for (std::size_t at = 0; at < width; ++at) {
      paint(background(heat_colour(static_cast<double>(at) / (width - 1))));
      out_ << ' ';
    }
    paint("");
    std::string line = padded("");
    for (const auto& [place, text] : scale_.marks()) {
      const auto at = label_width_ + static_cast<std::size_t>(std::lround(place * (width - 1)));
      const std::size_t begin = place < 1 ? at : std::max(at + 1, text.size()) - text.size();
      if (line.size() > label_width_ && line.size() >= begin) continue;
      line.resize(begin, ' ');
      line += text;
    }
    out_ << " samples in a cell, logarithmic\n" << line << '\n';
  }

  /// ". none  : 1  - 5  = 26": where each step begins.
  void print_plain_scale() {
    out_ << padded("scale") << nothing << " none";
    for (std::size_t step = 0; step < steps.size(); ++step) {
      const auto from = first_of(step);
      // With few samples several steps begin at the same count, and the highest of them is used.
      if (from > map_.most || (step + 1 < steps.size() && first_of(step + 1) == from)) continue;
      out_ << "  " << steps[step] << ' ' << from;
    }
    out_ << " or more samples in a cell\n";
  }

  /// The least count that is shown as this step.
  [[nodiscard]] std::uint64_t first_of(std::size_t step) const {
    std::uint64_t low = 1, high = map_.most;
    while (low < high) {
      const std::uint64_t middle = low + (high - low) / 2;
      if (scale_.step(middle, steps.size()) >= step) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return scale_.step(low, steps.size()) >= step ? low : map_.most + 1;
  }

  [[nodiscard]] std::string background(const Colour& colour) const {
    if (mode_ == ColourMode::of_256)
      return "\x1b[48;5;" + std::to_string(terminal_colour(colour)) + "m";
    return "\x1b[48;2;" + std::to_string(colour.red) + ";" + std::to_string(colour.green) + ";" +
           std::to_string(colour.blue) + "m";
  }

  /// Goes on with that background; the terminal's own if it is empty.
  void paint(const std::string& background) {
    if (background == painted_) return;
    out_ << (background.empty() ? "\x1b[0m" : background);
    painted_ = background;
  }

  const ExecutionProfile& profile_;
  ColourMode mode_;
  std::ostream& out_;
  std::size_t label_width_;
  AddressMap map_;
  HeatScale scale_;
  std::string painted_;
};

}  // namespace

void print_heat_map(const ExecutionProfile& profile, std::size_t columns, ColourMode mode,
                    std::ostream& out) {
  if (!profile.pages.empty()) Printer(profile, columns, mode, out).print();
}

std::string cell_text(std::uint64_t cell_bytes, std::uint64_t page_bytes) {
  if (cell_bytes == page_bytes) return "a page of " + binary_bytes(page_bytes);
  return binary_bytes(cell_bytes) + " (" + std::to_string(cell_bytes / page_bytes) + " pages)";
}

std::string binary_bytes(std::uint64_t bytes) {
  std::string text = human_bytes(bytes);
  if (const auto at = text.find(".0 "); at != std::string::npos) text.erase(at, 2);
  return text;
}

}  // namespace qemon::cli
