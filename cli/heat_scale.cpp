#include "cli/heat_scale.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "cli/plot.hpp"

namespace qemon::cli {

double HeatScale::place(std::uint64_t count) const {
  if (count <= 1 || most_ <= 1) return most_ <= 1 ? 1 : 0;
  return std::min(1.0, std::log(static_cast<double>(count)) / std::log(static_cast<double>(most_)));
}

std::size_t HeatScale::step(std::uint64_t count, std::size_t steps) const {
  const auto step = static_cast<std::size_t>(place(count) * static_cast<double>(steps));
  return std::min(step, steps - 1);
}

std::vector<std::pair<double, std::string>> HeatScale::marks() const {
  std::vector<std::pair<double, std::string>> marks;
  std::uint64_t power = 1;
  for (; power < most_; power *= 10) {
    marks.emplace_back(place(power), axis_number(static_cast<double>(power)));
    if (power > most_ / 10) break;
  }
  // A power that is close would be hidden behind it.
  constexpr double close = 0.06;
  if (marks.size() > 1 && marks.back().first > 1 - close) marks.pop_back();
  marks.emplace_back(1, axis_number(static_cast<double>(most_)));
  return marks;
}

Colour heat_colour(double place) {
  constexpr std::array<Colour, 9> table{{{0x44, 0x01, 0x54},
                                         {0x47, 0x2d, 0x7b},
                                         {0x3b, 0x52, 0x8b},
                                         {0x2c, 0x72, 0x8e},
                                         {0x21, 0x91, 0x8c},
                                         {0x28, 0xae, 0x80},
                                         {0x5e, 0xc9, 0x62},
                                         {0xad, 0xdc, 0x30},
                                         {0xfd, 0xe7, 0x25}}};
  const double at = std::clamp(place, 0.0, 1.0) * static_cast<double>(table.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(at), table.size() - 2);
  const double part = at - static_cast<double>(below);
  const auto between = [part](std::uint8_t from, std::uint8_t to) {
    return static_cast<std::uint8_t>(std::lround(from + part * (to - from)));
  };
  const Colour &from = table[below], &to = table[below + 1];
  return {between(from.red, to.red), between(from.green, to.green), between(from.blue, to.blue)};
}

unsigned terminal_colour(const Colour& colour) {
  // Of each of the three: 0, 95, 135, 175, 215, 255.
  const auto level = [](unsigned value) -> unsigned {
    return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
  };
  return 16 + 36 * level(colour.red) + 6 * level(colour.green) + level(colour.blue);
}

}  // namespace qemon::cli
