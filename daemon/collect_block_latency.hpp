// The collector `block-latency`: latency histograms of block devices, which QEMU keeps on request.
#pragma once

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// Sets histograms where there are none, so it changes something in QEMU and is off by default.
[[nodiscard]] Collector block_latency_collector();

}  // namespace qemon::daemon
