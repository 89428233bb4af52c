#include "cli/experiment_tables.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/metric_tables.hpp"
#include "cli/table.hpp"

namespace qemon::cli {

namespace {

constexpr auto right = Table::Align::right;

using Figure = std::function<std::optional<double>(const RunFigures&)>;
using Show = std::function<std::string(double)>;

std::optional<double> figure_of(const std::optional<RunFigures>& run, const Figure& figure) {
  return run ? figure(*run) : std::nullopt;
}

/// One figure of all rows, one column a run, and the ratios. Nothing if it is not known anywhere.
void print_section(const char* title, const std::vector<std::string>& runs,
                   const std::vector<ComparedRow>& rows, const Figure& figure, const Show& show,
                   std::ostream& out) {
  std::vector<Table::Column> columns{{title}};
  for (const std::string& run : runs) columns.push_back({run, right});
  for (std::size_t i = 1; i < runs.size(); ++i)
    columns.push_back({runs[i] + "/" + runs.front(), right});
  Table table(columns);
  bool any = false;
  for (const ComparedRow& row : rows) {
    std::vector<std::string> cells{row.text() + (row.is_histogram ? " (count)" : "")};
    const auto first = figure_of(row.runs.front(), figure);
    for (const auto& run : row.runs) {
      const auto value = figure_of(run, figure);
      any |= value.has_value();
      cells.push_back(value ? show(*value) : "-");
    }
    for (std::size_t i = 1; i < row.runs.size(); ++i)
      cells.push_back(ratio_text(ratio(first, figure_of(row.runs[i], figure))));
    table.add(std::move(cells));
  }
  if (!any) return;
  out << '\n';
  table.print(out);
}

std::string measure(const std::optional<double>& value, const std::string& metric) {
  if (!value) return "-";
  if (std::isinf(*value)) return "beyond all";
  return metric.ends_with("_seconds") ? human_duration(*value) : whole_or_short(*value);
}

/// Of histograms: a line for each run that has observations.
void print_distributions(const std::vector<std::string>& runs, const std::vector<ComparedRow>& rows,
                         std::ostream& out) {
  std::vector<Table::Column> columns{{"DISTRIBUTION"}};
  if (runs.size() > 1) columns.push_back({"RUN"});
  for (const char* const title : {"COUNT", "MEAN", "P50", "P90", "P99"})
    columns.push_back({title, right});
  if (runs.size() > 1) columns.push_back({"MEAN TO FIRST", right});
  Table table(columns);
  bool any = false;
  for (const ComparedRow& row : rows) {
    if (!row.is_histogram) continue;
    const auto first = row.runs.front() ? row.runs.front()->mean : std::nullopt;
    std::string name = row.text();
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const auto& run = row.runs[i];
      if (!run || run->delta == 0) continue;
      std::vector<std::string> cells{std::exchange(name, "")};
      if (runs.size() > 1) cells.push_back(runs[i]);
      cells.push_back(whole_or_short(run->delta));
      for (const auto& value : {run->mean, run->p50, run->p90, run->p99})
        cells.push_back(measure(value, row.metric));
      if (runs.size() > 1) cells.push_back(ratio_text(ratio(first, run->mean)));
      table.add(std::move(cells));
      any = true;
    }
  }
  if (!any) return;
  out << '\n';
  table.print(out);
}

}  // namespace

void print_figures(const std::vector<std::string>& runs, const std::vector<ComparedRow>& rows,
                   std::ostream& out) {
  if (rows.empty()) {
    out << "\nno counter moved\n";
    return;
  }
  print_section(
      "IN ALL", runs, rows, [](const RunFigures& run) { return run.delta; }, whole_or_short, out);
  print_section(
      "PER SECOND", runs, rows, [](const RunFigures& run) { return run.per_second; }, human_rate,
      out);
  print_section(
      "PER MILLION GUEST INSTRUCTIONS", runs, rows,
      [](const RunFigures& run) { return run.per_million; }, whole_or_short, out);
  print_distributions(runs, rows, out);
}

std::string labels_text(const Json& experiment) {
  std::string text;
  for (const auto& [name, value] : object_at(experiment, "labels").items())
    text += (text.empty() ? "" : " ") + name + "=" +
            (value.is_string() ? value.get<std::string>() : value.dump());
  return text;
}

std::string whole_or_short(double value) {
  std::array<char, 64> text{};
  const bool whole = std::abs(value) < 9e15 && std::floor(value) == value;
  std::snprintf(text.data(), text.size(), whole ? "%.0f" : "%.6g", value);
  return text.data();
}

std::string ratio_text(const std::optional<double>& value) {
  if (!value) return "-";
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), *value < 1000 ? "%.4g" : "%.0f", *value);
  return text.data();
}

}  // namespace qemon::cli
