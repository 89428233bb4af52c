// How VMs, events and reports look in the control API's JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "daemon/boot_clock.hpp"

namespace qemon::exporters {
struct Pack;
}

namespace qemon::daemon {

class Vm;
struct CostReport;
struct EventRow;
struct PackFit;
struct Lease;
struct SwitchReport;

/// When it ends, in the members "until" (seconds since 1970) and "remaining_seconds": null for what
/// has no end.
void add_end(nlohmann::json& object, const std::optional<BootClock::time_point>& until);

[[nodiscard]] nlohmann::json to_json(const Vm& vm);
[[nodiscard]] nlohmann::json to_json(const EventRow& row);
[[nodiscard]] nlohmann::json to_json(const Vm& vm, const Lease& lease);
[[nodiscard]] nlohmann::json to_json(const std::string& vm, const SwitchReport& report);
[[nodiscard]] nlohmann::json to_json(const std::string& vm, const CostReport& report);
[[nodiscard]] nlohmann::json to_json(const std::string& vm, const PackFit& fit);
[[nodiscard]] nlohmann::json to_json(const exporters::Pack& pack);

}  // namespace qemon::daemon
