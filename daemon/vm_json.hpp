// How VMs, events and reports look in the control API's JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace qemon::daemon {

class Vm;
struct EventRow;
struct SwitchReport;

[[nodiscard]] nlohmann::json to_json(const Vm& vm);
[[nodiscard]] nlohmann::json to_json(const EventRow& row);
[[nodiscard]] nlohmann::json to_json(const std::string& vm, const SwitchReport& report);

}  // namespace qemon::daemon
