// The collector `tcg-plugin`: what libqemon-plugin.so counts in the QEMU of a VM that was started
// with it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "daemon/collector.hpp"
#include "exporters/heat_map.hpp"
#include "plugin/figures_reader.hpp"

namespace qemon::daemon {

/// Series of all vCPUs, and of translations. What the level leaves out and was never counted is
/// left out.
[[nodiscard]] Figures tcg_plugin_figures(const plugin::Figures& figures);

/// How often each page was executed, in instructions, and how many instructions of each class.
class TcgBlocks {
 public:
  /// Takes what was executed since the last call; `blocks` are those of then and maybe more.
  void update(const std::vector<plugin::Block>& blocks);
  /// `beyond`: instructions in blocks that there was no room for.
  [[nodiscard]] Figures figures(std::uint64_t beyond) const;

 private:
  exporters::HeatMap pages_{12, 50, 500};
  std::vector<std::uint64_t> executions_;  // As they were, of each block.
  std::array<std::uint64_t, plugin::instruction_classes> instructions_{};  // Of each class.
};

[[nodiscard]] Collector tcg_plugin_collector();

}  // namespace qemon::daemon
