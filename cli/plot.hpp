// Plots: curves on common axes, as SVG.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace qemon::cli {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

struct Chart {
  std::string title;
  std::string x_title;
  std::string y_title;
  std::vector<Curve> curves;
};

/// One chart below the other; all axes begin at 0. A whole SVG file.
[[nodiscard]] std::string to_svg(const std::vector<Chart>& charts);

/// "0", "250", "1.5 k", "20 M": for the marks of an axis.
[[nodiscard]] std::string axis_number(double value);

}  // namespace qemon::cli
