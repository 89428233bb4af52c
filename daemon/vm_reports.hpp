// SwitchReport and others: what a Vm answers when somebody wants events switched or listed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/sampling.hpp"
#include "daemon/boot_clock.hpp"
#include "daemon/leases.hpp"

namespace qemon::daemon {

/// A lease that was asked for.
struct GrantedLease {
  LeaseId id = 0;
  std::optional<BootClock::time_point> until;
  bool is_new = true;  ///< False for one that ran already and was given a new end.
};

/// What became of a wish to switch events, for one VM. Lists hold event names.
struct SwitchReport {
  struct Named {
    std::string name;
    std::string why;
  };
  std::vector<std::string> changed;  ///< On (or off) now, and were not before.
  std::vector<std::string>
      already;  ///< Were so already; for `on`, the lease is taken all the same.
  std::vector<std::string> unavailable;  ///< Compiled out of this QEMU.
  std::vector<std::string> unknown;      ///< Patterns and names that match no event.
  std::vector<Named> kept;               ///< Stay on although `off` was asked, and why.
  std::vector<Named> failed;
  /// One pack that was asked for.
  struct PackChange {
    std::string name;
    bool changed = false;            ///< False if it was so already.
    std::size_t metrics = 0;         ///< How many it has.
    std::vector<Named> not_offered;  ///< Its metrics that this VM cannot offer, and why.
    std::optional<GrantedLease> lease;
  };
  std::vector<PackChange> packs;
  std::optional<GrantedLease> lease;  ///< On the events that were asked for.
  std::vector<LeaseId> ended;         ///< Leases that ended by this.
  std::string error;                  ///< Why nothing could be done at all.
};

/// One event, as `qemon event list` shows it.
struct EventRow {
  std::string_view name;  ///< Lives as long as the VM.
  EventSwitch state;
  std::uint64_t records = 0;
  std::optional<Sampling> sampling;
};

/// What a pack is on one VM, as `qemon pack list` shows it.
struct PackFit {
  bool on = false;
  std::vector<std::string> events;               ///< That it needs and the VM has.
  std::vector<SwitchReport::Named> not_offered;  ///< Its metrics that the VM cannot offer, and why.
  std::string note;                              ///< What is degraded; may be empty.
};

}  // namespace qemon::daemon
