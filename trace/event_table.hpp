// EventTable: the trace events of one VM, each with a small dense index that the hot path can use
// for arrays.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "trace/catalog.hpp"
#include "trace/event_names.hpp"

namespace qemon::trace {

/// Names come from QEMU itself (`info trace-events`), from the mapping records of a trace, or from
/// a catalog. Indexes are given out in order from 0 and never change or go away while the table
/// lives, even when QEMU restarts.
class EventTable {
 public:
  /// Another QEMU begins: it has just these events. A table that is still empty keeps `names`
  /// itself instead of copies.
  void begin_process(std::shared_ptr<const EventNames> names);
  /// What the last begin_process() told; empty before.
  [[nodiscard]] std::span<const std::string> process_names() const {
    return process_ ? process_->names() : std::span<const std::string>();
  }
  /// The index of `name`, which is added if it is new.
  EventIndex add(std::string_view name);
  [[nodiscard]] std::optional<EventIndex> find(std::string_view name) const;
  [[nodiscard]] const std::string& name(EventIndex event) const {
    const auto shared = shared_size();
    return event < shared ? shared_->name(event) : names_[event - shared];
  }
  [[nodiscard]] std::size_t size() const { return shared_size() + names_.size(); }

  /// Whether the present QEMU is known to have the event.
  [[nodiscard]] bool is_present(EventIndex event) const { return present_[event]; }

  /// Which catalog describes the events; nullptr for none (events are then counted by name only).
  /// The catalog must outlive the table or the next call.
  void use_catalog(const Catalog* catalog);
  /// Changes with every use_catalog, so that what was derived from the descriptions can be made
  /// anew.
  [[nodiscard]] std::uint32_t catalog_generation() const { return catalog_generation_; }
  /// nullptr when no catalog is in use or it does not know the event. Looks the name up, so it is
  /// nothing for the hot path.
  [[nodiscard]] const CatalogEvent* described(EventIndex event) const;

 private:
  [[nodiscard]] std::size_t shared_size() const { return shared_ ? shared_->size() : 0; }

  std::shared_ptr<const EventNames> process_;
  std::shared_ptr<const EventNames> shared_;  // The first events, if any; shared by many tables.
  std::deque<std::string> names_;  // Those after them. A deque, because index_ holds views of it.
  std::unordered_map<std::string_view, EventIndex> index_;
  std::vector<bool> present_;
  const Catalog* catalog_ = nullptr;
  std::uint32_t catalog_generation_ = 0;
};

}  // namespace qemon::trace
