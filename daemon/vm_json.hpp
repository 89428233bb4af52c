// How VMs, events and reports look in the control API's JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

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

[[nodiscard]] nlohmann::json to_json(const Vm& vm);
[[nodiscard]] nlohmann::json to_json(const EventRow& row);
[[nodiscard]] nlohmann::json to_json(const Vm& vm, const Lease& lease);
[[nodiscard]] nlohmann::json to_json(const std::string& vm, const SwitchReport& report);
[[nodiscard]] nlohmann::json to_json(const std::string& vm, const CostReport& report);
[[nodiscard]] nlohmann::json to_json(const std::string& vm, const PackFit& fit);
[[nodiscard]] nlohmann::json to_json(const exporters::Pack& pack);

}  // namespace qemon::daemon
