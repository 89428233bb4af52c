// What tests of budgets and of trace space share.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tests/integration/fixture.hpp"

namespace qemon::test {

inline constexpr const char* flood_event = "memory_region_ops_read";
inline constexpr const char* cheap_event = "virtio_blk_handle_read";

/// How often the event was switched off because it was too much.
inline double trips(const Qemond& daemon, std::string_view event) {
  const auto name = series("qemond_budget_trips_total", {{"vm", "vm"}, {"event", event}});
  return daemon.scrape().get(name).value_or(0);
}

class WithBudget : public OnQemu {
 protected:
  [[nodiscard]] static QemondOptions with_budget(const Qemu& vm, const std::string& budget) {
    auto options = watching(vm);
    options.arguments.insert(options.arguments.end(), {"--budget", budget});
    return options;
  }
};

}  // namespace qemon::test
