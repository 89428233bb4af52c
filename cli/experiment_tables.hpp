// Experiments as tables for people.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "cli/experiment_rows.hpp"
#include "cli/fields.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the library calls itself so.
class App;
}

namespace qemon::cli {

struct Invocation;

/// --metric GLOB of those commands that show figures.
void add_metric_option(CLI::App& command, Invocation& invocation);

/// What the rows came to: in all, per second, per million guest instructions where those are known,
/// and the distributions. With several runs, also each one's ratio to the first.
void print_figures(const std::vector<std::string>& runs, const std::vector<ComparedRow>& rows,
                   std::ostream& out);

/// "cache=cold tick=off".
[[nodiscard]] std::string labels_text(const Json& experiment);
/// "40960", "0.251".
[[nodiscard]] std::string whole_or_short(double value);
/// "3", "0.3333"; "-" if there is none.
[[nodiscard]] std::string ratio_text(const std::optional<double>& value);

}  // namespace qemon::cli
