// Experiments side by side: each counter and histogram is a row, each experiment a column.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/fields.hpp"

namespace qemon::cli {

/// What one series came to in one experiment.
struct RunFigures {
  double delta = 0;  ///< Of a counter, or of a histogram's number of observations.
  std::optional<double> per_second;
  std::optional<double> per_million;  ///< Guest instructions, where QEMU counts them.
  /// Of histograms with observations; infinite if it is beyond the last bound.
  std::optional<double> mean;
  std::optional<double> p50;
  std::optional<double> p90;
  std::optional<double> p99;
  std::vector<double> curve;         ///< May be empty.
  std::vector<double> seconds;       ///< Of the curve's points.
  std::vector<double> instructions;  ///< Executed by then; empty where they are not counted.
};

struct ComparedRow {
  std::string metric;
  std::vector<std::pair<std::string, std::string>> labels;
  bool is_histogram = false;
  std::vector<std::optional<RunFigures>> runs;  ///< Absent where there is no such series.

  /// `name{label="value"}`.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool moved() const;
};

/// `summaries`: as qemond tells them. Rows are sorted, and have the label vm if an experiment was
/// of several VMs.
[[nodiscard]] std::vector<ComparedRow> rows_of(const std::vector<Json>& summaries);

/// Leaves those out that did not move, and those that no pattern matches: the metric's name or the
/// whole text of the row. qemond's own metrics are only matched by name, and left out without
/// patterns.
void keep_matching(const std::vector<std::string>& patterns, std::vector<ComparedRow>& rows);

/// `value` to `first`; absent if there is none.
[[nodiscard]] std::optional<double> ratio(const std::optional<double>& first,
                                          const std::optional<double>& value);

}  // namespace qemon::cli
