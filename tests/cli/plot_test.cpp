#include "cli/plot.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::cli {
namespace {

using test::TempDir;

/// What the XML parser of Python's library makes of a file: its polylines' points.
std::string polylines(const std::string& svg) {
  const TempDir directory;
  test::write_file(directory / "plot.svg", svg);
  const auto parsed = test::run_program(
      {"python3", "-c",
       "import sys, xml.etree.ElementTree as e\n"
       "for each in e.parse(sys.argv[1]).getroot().iter('{http://www.w3.org/2000/svg}polyline'):\n"
       "  print(each.get('points').strip())",
       directory / "plot.svg"},
      directory.path().string());
  return parsed.out + parsed.err;
}

TEST(AxisNumber, IsShort) {
  EXPECT_EQ(axis_number(0), "0");
  EXPECT_EQ(axis_number(0.25), "0.25");
  EXPECT_EQ(axis_number(999), "999");
  EXPECT_EQ(axis_number(1500), "1.5 k");
  EXPECT_EQ(axis_number(20e6), "20 M");
  EXPECT_EQ(axis_number(3e12), "3 T");
}

TEST(Svg, IsSoundXmlWithEveryCurve) {
  Chart chart;
  chart.title = "a<b> & \"c\" \x01\xff";
  chart.x_title = "seconds";
  chart.curves = {{"one", {{0, 0}, {5, 10}, {10, 20}}}, {"two", {{0, 0}, {10, 10}}}};

  // Both axes end at the largest value: twice as much is twice as high.
  EXPECT_EQ(polylines(to_svg({chart})),
            "90.00,268.00 465.00,162.00 840.00,56.00\n"
            "90.00,268.00 840.00,162.00\n");
}

TEST(Svg, DrawsWhatIsFlatOrEmpty) {
  Chart flat;
  flat.curves = {{"one", {{0, 0}, {1, 0}}}};

  EXPECT_EQ(polylines(to_svg({flat, Chart()})), "90.00,268.00 840.00,268.00\n");
  EXPECT_EQ(polylines(to_svg({})), "");
}

}  // namespace
}  // namespace qemon::cli
