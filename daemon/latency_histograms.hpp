// LatencyHistograms: what QEMU's own latency histograms of block devices say, as metrics.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// Boundaries for block-latency-histogram-set, in ns: 10 us to 5 s in steps of 1, 2 and 5, and 1 ns
/// more each. QEMU's bin [a, b) holds whole nanoseconds, which are thus at most b - 1: with a
/// boundary of 10,001 ns the bin ends exactly where `le="1e-05"` says.
[[nodiscard]] const std::vector<std::uint64_t>& latency_boundaries();

/// Remembers, for one monitor session, the histograms that we set. Fed with each answer to
/// query-blockstats; asks nothing itself.
///
/// What is exact: buckets and count are QEMU's. The sum is the growth of QEMU's total time since
/// the histogram was set, read in the same answer. It would be exact too, but for operations that
/// end between the last answer before the setting and the setting itself: of these, a part in
/// proportion to their number is left out. The error stays the same for the life of the histogram,
/// so that rates are not touched by it. Failed operations are in the histogram, but in the total
/// time only with account-failed=on, which is the default.
class LatencyHistograms {
 public:
  struct Device {
    std::string name;  ///< The label.
    std::string qdev;
  };

  /// Devices that should get a histogram: which have none, or have one like ours from before this
  /// session; only a fresh one has a known sum. One with other boundaries is somebody else's.
  [[nodiscard]] std::vector<Device> to_be_set(const nlohmann::json& blockstats) const;

  /// The device called `name` got a fresh histogram after QEMU had answered `before`.
  void was_set(const std::string& name, const nlohmann::json& before);

  /// qemu_blockdev_latency_seconds of the devices that were set. A histogram that somebody set
  /// anew shows as a reset of all its counters, and one with other boundaries not at all.
  [[nodiscard]] Figures figures(const nlohmann::json& blockstats);

 private:
  /// One operation of one device, as last seen.
  struct Seen {
    std::uint64_t total_ns = 0;
    std::uint64_t operations = 0;
    std::vector<std::uint64_t> bins;  ///< Empty until the first answer after the setting.
    double baseline_ns = 0;           ///< The total time when the bins were zero.
  };
  static constexpr std::size_t operations_count = 4;
  using SeenDevice = std::array<Seen, operations_count>;

  static void begin_anew(Seen& seen, const Seen& now);

  std::map<std::string, SeenDevice> devices_;
};

}  // namespace qemon::daemon
