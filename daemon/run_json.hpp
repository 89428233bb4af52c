// How the figures of a run look in JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/run_record.hpp"

namespace qemon::daemon {

/// A whole number as such, any other one to twelve digits; "+Inf" for what JSON has no number for.
[[nodiscard]] nlohmann::json shown_number(double value);

/// Adds `guest_instructions` (null where QEMU does not count them), `seconds` (of the points of all
/// curves), `counters` and `histograms` to a VM's summary.
void add_figures(const RunRecord& record, double length_seconds, nlohmann::json& summary);

}  // namespace qemon::daemon
