// HeatScale: how counts are shown: as a place on a logarithmic scale, and as a colour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace qemon::cli {

struct Colour {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;

  friend bool operator==(const Colour&, const Colour&) = default;
};

/// From 1 to `most`.
class HeatScale {
 public:
  explicit HeatScale(std::uint64_t most) : most_(most) {}

  /// 0 for 1, and 1 for the most; there is a place for counts from 1 on only.
  [[nodiscard]] double place(std::uint64_t count) const;
  /// Which of so many steps.
  [[nodiscard]] std::size_t step(std::uint64_t count, std::size_t steps) const;
  /// Marks for an axis, with their places: "1", "10", "100", "1 k" ..., and what there is most.
  [[nodiscard]] std::vector<std::pair<double, std::string>> marks() const;

 private:
  std::uint64_t most_;
};

/// Equal steps of `place` look equally far apart, for most people who see few colours too, and in
/// grey: from dark violet over green to yellow.
[[nodiscard]] Colour heat_colour(double place);

/// The nearest of the 216 colours that terminals with 256 have in their cube.
[[nodiscard]] unsigned terminal_colour(const Colour& colour);

}  // namespace qemon::cli
