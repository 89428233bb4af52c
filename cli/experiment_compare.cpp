// qemon experiment compare: runs side by side, as tables, JSON, CSV and curves.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/commands.hpp"
#include "cli/experiment_rows.hpp"
#include "cli/experiment_tables.hpp"
#include "cli/fields.hpp"
#include "cli/plot.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr auto right = Table::Align::right;
constexpr std::size_t charts_by_default = 6;
constexpr std::size_t charts_max = 40;
constexpr const char* over_instructions = "instructions";

/// The figures of one run, by name, for JSON and CSV.
std::vector<std::pair<const char*, std::optional<double>>> named_figures(const ComparedRow& row,
                                                                         const RunFigures& run) {
  std::vector<std::pair<const char*, std::optional<double>>> figures{
      {row.is_histogram ? "count" : "delta", run.delta},
      {"per_second", run.per_second},
      {"per_million_instructions", run.per_million}};
  if (row.is_histogram) {
    for (const auto& [name, value] :
         {std::pair{"mean", run.mean}, {"p50", run.p50}, {"p90", run.p90}, {"p99", run.p99}})
      figures.emplace_back(name, value);
  }
  return figures;
}

Json json_of(const std::optional<double>& value) {
  if (!value) return nullptr;
  if (std::isinf(*value)) return "+Inf";
  if (std::abs(*value) < 9e15 && std::floor(*value) == *value)
    return static_cast<std::int64_t>(*value);
  // Digits beyond those that qemond tells mean nothing.
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.12g", *value);
  return std::strtod(text.data(), nullptr);
}

Json comparison(const std::vector<Json>& summaries, const std::vector<ComparedRow>& rows) {
  Json answer;
  answer["experiments"] = Json::array();
  for (Json header : summaries) {
    for (Json& vm : header["vms"])
      for (const char* const bulky : {"seconds", "counters", "histograms"}) vm.erase(bulky);
    answer["experiments"].push_back(std::move(header));
  }
  answer["rows"] = Json::array();
  for (const ComparedRow& row : rows) {
    Json one;
    one["metric"] = row.metric;
    one["labels"] = Json::object();
    for (const auto& [name, value] : row.labels) one["labels"][name] = value;
    one["runs"] = Json::array();
    const auto& first = row.runs.front();
    for (const auto& run : row.runs) {
      if (!run) {
        one["runs"].push_back(nullptr);
        continue;
      }
      Json figures;
      for (const auto& [name, value] : named_figures(row, *run)) figures[name] = json_of(value);
      figures["ratio"] = first ? json_of(ratio(first->delta, run->delta)) : Json(nullptr);
      figures["ratio_per_second"] =
          first ? json_of(ratio(first->per_second, run->per_second)) : Json(nullptr);
      figures["ratio_per_million_instructions"] =
          first ? json_of(ratio(first->per_million, run->per_million)) : Json(nullptr);
      one["runs"].push_back(std::move(figures));
    }
    answer["rows"].push_back(std::move(one));
  }
  return answer;
}

/// As RFC 4180 has it.
std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string cell = "\"";
  for (const char c : text) {
    if (c == '"') cell += '"';
    cell += c;
  }
  return cell + '"';
}

void print_csv(const std::vector<std::string>& names, const std::vector<ComparedRow>& rows,
               std::ostream& out) {
  out << "metric,labels,figure";
  for (const std::string& name : names) out << ',' << csv_cell(name);
  for (std::size_t i = 1; i < names.size(); ++i)
    out << ',' << csv_cell(names[i] + "/" + names.front());
  out << '\n';
  for (const ComparedRow& row : rows) {
    std::vector<std::pair<const char*, std::vector<std::optional<double>>>> lines;
    for (std::size_t i = 0; i < row.runs.size(); ++i) {
      const auto figures = named_figures(row, row.runs[i].value_or(RunFigures()));
      for (std::size_t line = 0; line < figures.size(); ++line) {
        if (lines.size() <= line)
          lines.emplace_back(figures[line].first,
                             std::vector<std::optional<double>>(row.runs.size()));
        if (row.runs[i]) lines[line].second[i] = figures[line].second;
      }
    }
    const std::string text = row.text();
    const std::string labels = text.substr(row.metric.size());
    for (const auto& [figure, values] : lines) {
      const auto known = [](const auto& value) { return value.has_value(); };
      if (std::ranges::none_of(values, known)) continue;
      out << csv_cell(row.metric) << ','
          << csv_cell(labels.empty() ? labels : labels.substr(1, labels.size() - 2)) << ','
          << figure;
      for (const auto& value : values) {
        const Json shown = json_of(value);
        out << ',' << (value ? (shown.is_string() ? "+Inf" : shown.dump()) : "");
      }
      for (std::size_t i = 1; i < values.size(); ++i) {
        const auto to_first = ratio(values.front(), values[i]);
        out << ',' << (to_first ? json_of(to_first).dump() : "");
      }
      out << '\n';
    }
  }
}

/// Bytes and interrupts before requests, requests before all else, and what differs most first.
std::vector<const ComparedRow*> telling_rows(const std::vector<ComparedRow>& rows) {
  const auto rank = [](const ComparedRow& row) {
    const auto has = [&](const char* word) { return row.metric.find(word) != std::string::npos; };
    if (has("trace_events") || row.is_histogram) return 3;
    if (has("_bytes_total") || has("interrupt") || has("_irq")) return 0;
    return has("requests") || has("operations") ? 1 : 2;
  };
  const auto differs = [](const ComparedRow& row) {
    double most = 0;
    for (const auto& run : row.runs) {
      const auto to_first =
          run && row.runs.front() ? ratio(row.runs.front()->delta, run->delta) : std::nullopt;
      if (to_first && *to_first > 0) most = std::max(most, std::abs(std::log(*to_first)));
    }
    return most;
  };
  std::vector<const ComparedRow*> chosen;
  chosen.reserve(rows.size());
  for (const ComparedRow& row : rows) chosen.push_back(&row);
  std::ranges::stable_sort(chosen, [&](const ComparedRow* a, const ComparedRow* b) {
    if (rank(*a) != rank(*b)) return rank(*a) < rank(*b);
    return differs(*a) > differs(*b);
  });
  if (chosen.size() > charts_by_default) chosen.resize(charts_by_default);
  return chosen;
}

std::vector<std::pair<double, double>> points_of(const RunFigures& run, bool instructions) {
  std::vector<std::pair<double, double>> points;
  const auto& x = instructions ? run.instructions : run.seconds;
  for (std::size_t i = 0; i < std::min(x.size(), run.curve.size()); ++i) {
    // QEMU is asked for its instructions every few seconds: what lies in between has no place.
    if (instructions && !points.empty() && x[i] == points.back().first) continue;
    points.emplace_back(x[i], run.curve[i]);
  }
  return points;
}

std::string unit_of(const std::string& metric) {
  if (metric.find("_bytes") != std::string::npos) return "bytes since the start";
  if (metric.ends_with("_seconds_total")) return "seconds since the start";
  return "count since the start";
}

void write_plot(const Invocation& invocation, const std::vector<std::string>& names,
                const std::vector<ComparedRow>& rows, CommandContext& context) {
  const bool instructions = invocation.axis == over_instructions;
  std::vector<const ComparedRow*> chosen;
  if (invocation.metrics.empty()) {
    chosen = telling_rows(rows);
  } else {
    for (const ComparedRow& row : rows) chosen.push_back(&row);
  }
  if (chosen.size() > charts_max) {
    context.note("only the first " + std::to_string(charts_max) + " of " +
                 std::to_string(chosen.size()) + " metrics are drawn: choose with --metric");
    chosen.resize(charts_max);
  }
  std::vector<Chart> charts;
  for (const ComparedRow* row : chosen) {
    Chart chart;
    chart.title = row->text() + (row->is_histogram ? " (count)" : "");
    chart.x_title = instructions ? "guest instructions since the start" : "seconds since the start";
    chart.y_title = row->is_histogram ? "count since the start" : unit_of(row->metric);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!row->runs[i]) continue;
      auto points = points_of(*row->runs[i], instructions);
      if (points.size() > 1) chart.curves.push_back({names[i], std::move(points)});
    }
    if (!chart.curves.empty()) charts.push_back(std::move(chart));
  }
  if (charts.empty())
    return context.fail(instructions ? "nothing to draw: QEMU counts guest instructions only with "
                                       "-icount"
                                     : "nothing to draw: no curve of these metrics was kept");
  std::ofstream file(invocation.plot, std::ios::binary | std::ios::trunc);
  file << to_svg(charts);
  file.close();
  if (!file) return context.fail(invocation.plot + ": cannot be written");
  context.note(counted(charts.size(), "chart") + " in " + invocation.plot);
}

void print_runs(const std::vector<Json>& summaries, std::ostream& out) {
  Table table({{"RUN"},
               {"STATE"},
               {"LENGTH", right},
               {"TO FIRST", right},
               {"INSTRUCTIONS", right},
               {"COMPLETE"},
               {"LABELS"}});
  const auto first = number_at(summaries.front(), "length_seconds");
  for (const Json& summary : summaries) {
    const auto length = number_at(summary, "length_seconds");
    std::optional<double> executed;
    for (const Json& vm : array_at(summary, "vms"))
      if (const auto more = number_at(vm, "guest_instructions"))
        executed = executed.value_or(0) + *more;
    table.add({text_at(summary, "name"), text_at(summary, "state"),
               human_seconds(length.value_or(0)), ratio_text(ratio(first, length)),
               executed ? whole_or_short(*executed) : "-",
               flag_at(summary, "complete") ? "yes" : "no", labels_text(summary)});
  }
  table.print(out);
}

void compare(const Invocation& invocation, CommandContext& context) {
  std::vector<Json> summaries;
  for (const std::string& name : invocation.names) {
    Result<Json> answer = context.client().get("/v1/experiments/" + percent_encode(name));
    if (!answer) return context.fail(answer.error().detail);
    summaries.push_back(std::move(*answer));
  }
  auto rows = rows_of(summaries);
  keep_matching(invocation.metrics, rows);
  if (context.json()) {
    context.print(comparison(summaries, rows));
  } else if (invocation.output == "csv") {
    print_csv(invocation.names, rows, context.out());
  } else {
    print_runs(summaries, context.out());
    print_figures(invocation.names, rows, context.out());
  }
  for (const Json& summary : summaries)
    for (const Json& vm : array_at(summary, "vms"))
      for (const std::string& note : texts_at(vm, "notes"))
        context.note(text_at(summary, "name") + ": " + text_at(vm, "vm") + ": " + note);
  if (!invocation.plot.empty()) write_plot(invocation, invocation.names, rows, context);
}

}  // namespace

void add_experiment_compare_command(CLI::App& experiment, Invocation& invocation) {
  CLI::App* const both = experiment.add_subcommand(
      "compare", "Show what several runs came to, side by side, with their ratios to the first");
  both->add_option("NAME", invocation.names, "Names of 2 to 20 runs")
      ->required()
      ->expected(2, 20)
      ->type_name("")
      ->check(not_empty());
  add_metric_option(*both, invocation);
  both->add_option("--plot", invocation.plot,
                   "Draw how the metrics grew from the start of each run on, into this SVG file")
      ->type_name("FILE")
      ->check(not_empty());
  both->add_option("-o,--output", invocation.output,
                   "table for people, json for programs, csv for spreadsheets")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "csv"}));
  both->add_option("--x", invocation.axis, "What to draw over: seconds (default) or instructions")
      ->type_name("AXIS")
      ->check(CLI::IsMember({"seconds", over_instructions}));
  both->footer(
      "Example:\n  qemon experiment compare cold hot --plot cache.svg --metric '*_bytes_total'");
  both->callback([&invocation] { invocation.command = compare; });
}

}  // namespace qemon::cli
