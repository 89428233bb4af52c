// From an engine's integers to Prometheus families: what /metrics and `qemon replay` show of packs.
#pragma once

#include <prometheus/metric_family.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/engine.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::exporters {

/// One VM's engine, for as long as a scrape collects one family.
struct EngineOfVm {
  std::string_view vm;
  Engine* engine = nullptr;
  /// False if the VM's trace is known to have no times: then it has no latencies, not even at 0.
  bool has_times = true;
};

/// Tells the engines of all VMs there are at the moment.
using Engines = std::function<std::vector<EngineOfVm>()>;

/// The families of all packs that are or were in use, sorted by name, and those that account for
/// them (qemond_pack_*, qemond_series_overflow_total). To be called at the beginning of each
/// scrape. `engines` must stay callable while what is returned is.
[[nodiscard]] std::vector<MetricsPage::Collect> pack_families(const Engines& engines);

}  // namespace qemon::exporters
