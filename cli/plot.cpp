#include "cli/plot.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

#include "cli/svg.hpp"

namespace qemon::cli {

namespace {

constexpr double width = 860;
constexpr double chart_height = 320;
constexpr double left = 90;
constexpr double right = 20;
constexpr double top = 56;
constexpr double bottom = 52;
constexpr int marks = 6;  // On an axis, about.
constexpr double legend_width = 190;

// Told apart also by those who see few colours, and by their dashes when printed in grey.
constexpr std::array<const char*, 6> colours{"#0072b2", "#d55e00", "#009e73",
                                             "#cc79a7", "#e69f00", "#000000"};
constexpr std::array<const char*, 3> dashes{"", "8 3", "2 3"};

/// A step of 1, 2 or 5 times a power of ten.
double step_for(double most) {
  const double rough = most / marks;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (rough <= factor * power) return factor * power;
  return 10 * power;
}

/// From 0 to somewhat beyond the largest value.
struct Axis {
  double step = 1;
  double end = 1;

  explicit Axis(double most) {
    if (!(most > 0) || !std::isfinite(most)) return;
    step = step_for(most);
    end = std::ceil(most / step * (1 - 1e-9)) * step;
  }
};

class Drawing {
 public:
  Drawing(const Chart& chart, double y, std::string& svg)
      : chart_(chart), y_(y), svg_(svg), x_axis_(most(true)), y_axis_(most(false)) {}

  void draw() {
    text(left, y_ + 20, "start", "font-weight=\"bold\" font-size=\"14\"", chart_.title);
    for (double at = 0; at <= x_axis_.end * (1 + 1e-9); at += x_axis_.step) {
      line(x_of(at), y_of(0), x_of(at), y_of(y_axis_.end), "#ddd");
      text(x_of(at), y_of(0) + 18, "middle", "", axis_number(at));
    }
    for (double at = 0; at <= y_axis_.end * (1 + 1e-9); at += y_axis_.step) {
      line(x_of(0), y_of(at), x_of(x_axis_.end), y_of(at), "#ddd");
      text(x_of(0) - 8, y_of(at) + 4, "end", "", axis_number(at));
    }
    line(x_of(0), y_of(0), x_of(x_axis_.end), y_of(0), "#333");
    line(x_of(0), y_of(0), x_of(0), y_of(y_axis_.end), "#333");
    text((left + width - right) / 2, y_of(0) + 38, "middle", "", chart_.x_title);
    const auto middle = svg_number((y_of(0) + y_of(y_axis_.end)) / 2);
    text(16, (y_of(0) + y_of(y_axis_.end)) / 2, "middle",
         "transform=\"rotate(-90 16 " + middle + ")\"", chart_.y_title);
    for (std::size_t i = 0; i < chart_.curves.size(); ++i) curve(i);
  }

 private:
  double most(bool x) const {
    double value = 0;
    for (const auto& each : chart_.curves)
      for (const auto& point : each.points) value = std::max(value, x ? point.first : point.second);
    return value;
  }
  double x_of(double value) const { return left + value / x_axis_.end * (width - left - right); }
  double y_of(double value) const {
    return y_ + chart_height - bottom - value / y_axis_.end * (chart_height - top - bottom);
  }
  void line(double x1, double y1, double x2, double y2, const std::string& colour) {
    svg_ += "<line x1=\"" + svg_number(x1) + "\" y1=\"" + svg_number(y1) + "\" x2=\"" +
            svg_number(x2) + "\" y2=\"" + svg_number(y2) + "\" stroke=\"" + colour + "\"/>\n";
  }
  void text(double x, double y, const char* anchor, const std::string& more,
            std::string_view what) {
    svg_ += "<text x=\"" + svg_number(x) + "\" y=\"" + svg_number(y) + "\" text-anchor=\"" +
            anchor + "\"" + (more.empty() ? "" : " " + more) + ">" + svg_text(what) + "</text>\n";
  }
  static std::string style(std::size_t i) {
    const std::string dash = dashes[i / colours.size() % dashes.size()];
    return "stroke=\"" + std::string(colours[i % colours.size()]) + "\" stroke-width=\"2\"" +
           (dash.empty() ? "" : " stroke-dasharray=\"" + dash + "\"");
  }
  void curve(std::size_t i) {
    const auto& drawn = chart_.curves[i];
    svg_ += "<polyline fill=\"none\" " + style(i) + " points=\"";
    for (const auto& [x, y] : drawn.points)
      svg_ += svg_number(x_of(x)) + "," + svg_number(y_of(y)) + " ";
    svg_ += "\"/>\n";
    const double x = left + static_cast<double>(i % 4) * legend_width;
    const std::size_t line = i / 4;
    const double y = y_ + 36 + static_cast<double>(line) * 14;
    svg_ += "<line x1=\"" + svg_number(x) + "\" y1=\"" + svg_number(y) + "\" x2=\"" +
            svg_number(x + 24) + "\" y2=\"" + svg_number(y) + "\" " + style(i) + "/>\n";
    text(x + 30, y + 4, "start", "", drawn.name);
  }

  const Chart& chart_;
  double y_;
  std::string& svg_;
  Axis x_axis_;
  Axis y_axis_;
};

}  // namespace

std::string axis_number(double value) {
  constexpr std::array<std::pair<double, const char*>, 4> units{
      {{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}}};
  double shown = value;
  const char* unit = "";
  for (const auto& [size, name] : units) {
    if (value < size) continue;
    shown = value / size;
    unit = name;
    break;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", shown);
  return std::string(text.data()) + unit;
}

std::string to_svg(const std::vector<Chart>& charts) {
  const double height = chart_height * static_cast<double>(charts.size());
  std::string svg = svg_head(width, height, "font-family=\"sans-serif\" font-size=\"12\"");
  for (std::size_t i = 0; i < charts.size(); ++i)
    Drawing(charts[i], chart_height * static_cast<double>(i), svg).draw();
  return svg + "</svg>\n";
}

}  // namespace qemon::cli
