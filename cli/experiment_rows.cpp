#include "cli/experiment_rows.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

namespace qemon::cli {

namespace {

constexpr const char* instructions_metric = "qemu_guest_instructions_total";
constexpr double million = 1e6;

std::vector<double> numbers_at(const Json& object, const char* name) {
  std::vector<double> numbers;
  for (const Json& number : array_at(object, name))
    numbers.push_back(number.is_number() ? number.get<double>() : 0);
  return numbers;
}

/// A quantile, which is "+Inf" beyond the last bound.
std::optional<double> quantile_at(const Json& object, const char* name) {
  if (text_at(object, name) == "+Inf") return std::numeric_limits<double>::infinity();
  return number_at(object, name);
}

/// What all series of one VM have in common.
struct OfVm {
  std::string name;
  std::optional<double> instructions;
  std::vector<double> seconds;
  std::vector<double> instructions_curve;
};

OfVm of_vm(const Json& vm) {
  OfVm of;
  of.name = text_at(vm, "vm");
  of.instructions = number_at(vm, "guest_instructions");
  of.seconds = numbers_at(vm, "seconds");
  for (const Json& counter : array_at(vm, "counters"))
    if (text_at(counter, "name") == instructions_metric)
      of.instructions_curve = numbers_at(counter, "curve");
  return of;
}

RunFigures figures_of(const Json& series, const OfVm& of) {
  RunFigures figures;
  const bool counts = series.contains("count");
  figures.delta = number_at(series, counts ? "count" : "delta").value_or(0);
  figures.per_second = number_at(series, "per_second");
  if (of.instructions && *of.instructions > 0)
    figures.per_million = figures.delta / *of.instructions * million;
  if (counts) {
    figures.mean = number_at(series, "mean");
    figures.p50 = quantile_at(series, "p50");
    figures.p90 = quantile_at(series, "p90");
    figures.p99 = quantile_at(series, "p99");
  }
  figures.curve = numbers_at(series, "curve");
  if (figures.curve.size() != of.seconds.size()) {
    figures.curve.clear();
  } else {
    figures.seconds = of.seconds;
    if (of.instructions_curve.size() == of.seconds.size())
      figures.instructions = of.instructions_curve;
  }
  return figures;
}

}  // namespace

std::string ComparedRow::text() const {
  std::string text = metric;
  char before = '{';
  for (const auto& [name, value] : labels) {
    text += std::exchange(before, ',');
    text += name + "=\"" + value + "\"";
  }
  if (before == ',') text += '}';
  return text;
}

bool ComparedRow::moved() const {
  return std::ranges::any_of(runs, [](const auto& run) { return run && run->delta != 0; });
}

std::vector<ComparedRow> rows_of(const std::vector<Json>& summaries) {
  const bool by_vm = std::ranges::any_of(
      summaries, [](const Json& summary) { return array_at(summary, "vms").size() > 1; });
  using Labels = std::vector<std::pair<std::string, std::string>>;
  std::map<std::tuple<std::string, Labels>, ComparedRow> rows;
  for (std::size_t run = 0; run < summaries.size(); ++run) {
    for (const Json& vm : array_at(summaries[run], "vms")) {
      const OfVm of = of_vm(vm);
      for (const char* const kind : {"counters", "histograms"}) {
        for (const Json& series : array_at(vm, kind)) {
          Labels labels;
          if (by_vm) labels.emplace_back("vm", of.name);
          for (const auto& [name, value] : object_at(series, "labels").items())
            labels.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
          auto& row = rows[{text_at(series, "name"), labels}];
          row.metric = text_at(series, "name");
          row.labels = std::move(labels);
          row.is_histogram = series.contains("count");
          row.runs.resize(summaries.size());
          row.runs[run] = figures_of(series, of);
        }
      }
    }
  }
  std::vector<ComparedRow> list;
  list.reserve(rows.size());
  for (auto& [key, row] : rows) list.push_back(std::move(row));
  return list;
}

void keep_matching(const std::vector<std::string>& patterns, std::vector<ComparedRow>& rows) {
  const auto matches = [&](const ComparedRow& row) {
    // Some of them have the names of other metrics for labels.
    const bool of_qemond = row.metric.starts_with("qemond_");
    if (patterns.empty()) return !of_qemond;
    return std::ranges::any_of(patterns, [&](const std::string& pattern) {
      return ::fnmatch(pattern.c_str(), row.metric.c_str(), 0) == 0 ||
             (!of_qemond && ::fnmatch(pattern.c_str(), row.text().c_str(), 0) == 0);
    });
  };
  std::erase_if(rows, [&](const ComparedRow& row) { return !row.moved() || !matches(row); });
}

std::optional<double> ratio(const std::optional<double>& first,
                            const std::optional<double>& value) {
  if (!first || !value || *first == 0 || std::isinf(*first) || std::isinf(*value))
    return std::nullopt;
  return *value / *first;
}

}  // namespace qemon::cli
