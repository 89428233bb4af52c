// The heat map as a picture.
#pragma once

#include "cli/execution_profile.hpp"
#include "cli/picture.hpp"
#include "cli/symbols.hpp"

namespace qemon::cli {

/// `profile` must have pages. `symbols`: for what is shown of a cell in SVG.
[[nodiscard]] Picture heat_picture(const ExecutionProfile& profile, const Symbols& symbols);

}  // namespace qemon::cli
