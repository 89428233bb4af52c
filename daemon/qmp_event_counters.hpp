// QmpEventCounters: how often QEMU told of each thing by a QMP event.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daemon/collector.hpp"
#include "qmp/types.hpp"

namespace qemon::daemon {

/// Counts for one VM, over all its sessions. Bounded: what would make more than 200 series of a
/// family is counted under `__other__`.
class QmpEventCounters {
 public:
  void count(const qmp::Event& event);

  /// qemu_qmp_events_total by event, and by what the event says: qemu_resets_total,
  /// qemu_shutdowns_total and qemu_block_io_errors_total. Absent what has not happened.
  [[nodiscard]] Figures figures() const;

 private:
  using Labels = std::vector<std::string>;
  using Counts = std::map<Labels, std::uint64_t>;

  static void add(Counts& counts, Labels labels);

  Counts events_;
  Counts resets_;
  Counts shutdowns_;
  Counts io_errors_;
};

}  // namespace qemon::daemon
