// The collector `jit`: what TCG translated, and how often it threw that away.
#pragma once

#include <string_view>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// What `info jit` prints as metrics. Lines that are not known are ignored, since the text differs
/// between versions of QEMU.
[[nodiscard]] Figures jit_figures(std::string_view text);

[[nodiscard]] Collector jit_collector();

}  // namespace qemon::daemon
