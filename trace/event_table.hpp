// EventTable: the trace events of one VM, each with a small dense index that the hot path can use
// for arrays.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "trace/catalog.hpp"

namespace qemon::trace {

using EventIndex = std::uint32_t;

/// Names come from QEMU itself (trace-event-get-state), from the mapping records of a trace, or
/// from a catalog. Indexes are given out in order from 0 and never change or go away while the
/// table lives, even when QEMU restarts.
class EventTable {
 public:
  /// The index of `name`, which is added if it is new.
  EventIndex add(std::string_view name);
  [[nodiscard]] std::optional<EventIndex> find(std::string_view name) const;
  [[nodiscard]] const std::string& name(EventIndex event) const { return names_[event]; }
  [[nodiscard]] std::size_t size() const { return names_.size(); }

  /// Another QEMU begins: what is not added again from now on, it does not have.
  void forget_process();
  /// Whether the present QEMU is known to have the event.
  [[nodiscard]] bool is_present(EventIndex event) const { return present_[event]; }

  /// Which catalog describes the events; nullptr for none (events are then counted by name only).
  /// The catalog must outlive the table or the next call.
  void use_catalog(const Catalog* catalog);
  /// Changes with every use_catalog, so that what was derived from the descriptions can be made
  /// anew.
  [[nodiscard]] std::uint32_t catalog_generation() const { return catalog_generation_; }
  /// nullptr when no catalog is in use or it does not know the event.
  [[nodiscard]] const CatalogEvent* described(EventIndex event) const { return described_[event]; }

 private:
  std::deque<std::string> names_;  // A deque, because index_ holds views into the strings.
  std::unordered_map<std::string_view, EventIndex> index_;
  std::vector<const CatalogEvent*> described_;
  std::vector<bool> present_;
  const Catalog* catalog_ = nullptr;
  std::uint32_t catalog_generation_ = 0;
};

}  // namespace qemon::trace
