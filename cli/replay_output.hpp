// What `qemon replay` and `qemon follow` share: the packs that are asked for, and what is shown in
// the end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/trace_replay.hpp"

namespace qemon::cli {

class CommandContext;

/// Loads packs by name or file; nothing if one cannot be used, which is told.
[[nodiscard]] std::optional<TraceReplay::Packs> load_packs(
    const std::vector<std::string>& wanted_packs, CommandContext& context);

/// What was read, in the form that `output` names (table, prometheus or json), and what a person
/// should know besides. `vm`: the value of the label vm. `seconds`: how long reading took.
void show_replay(TraceReplay& replay, const std::string& vm, double seconds,
                 const std::string& output, CommandContext& context);

}  // namespace qemon::cli
