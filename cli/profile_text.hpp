// An ExecutionProfile in words, as tables, and as JSON.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/execution_profile.hpp"
#include "cli/symbols.hpp"

namespace qemon::cli {

/// "300006 lines of -d exec".
[[nodiscard]] std::string samples_text(const ExecutionProfile& profile);
/// "97 pages from 0x4001d8 to 0x461f50".
[[nodiscard]] std::string region_text(const ExecutionProfile& profile);

/// What is told above the map; `top` program counters.
void print_profile(const ExecutionProfile& profile, const Symbols& symbols, std::size_t top,
                   std::ostream& out);

[[nodiscard]] nlohmann::ordered_json profile_json(const ExecutionProfile& profile,
                                                  const Symbols& symbols, std::size_t top);

}  // namespace qemon::cli
