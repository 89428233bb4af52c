// The collector `irq`: how often the interrupt controllers that keep statistics saw each line.
#pragma once

#include <string_view>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// What `info irq` prints as metrics. A controller without numbers gives nothing; a second one of
/// the same name is called "NAME#2".
[[nodiscard]] Figures irq_figures(std::string_view text);

[[nodiscard]] Collector irq_collector();

}  // namespace qemon::daemon
