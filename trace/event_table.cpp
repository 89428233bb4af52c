#include "trace/event_table.hpp"

namespace qemon::trace {

EventIndex EventTable::add(std::string_view name) {
  if (const auto known = index_.find(name); known != index_.end()) {
    present_[known->second] = true;
    return known->second;
  }
  const auto event = static_cast<EventIndex>(names_.size());
  names_.emplace_back(name);
  index_.emplace(names_.back(), event);
  described_.push_back(catalog_ != nullptr ? catalog_->find(name) : nullptr);
  present_.push_back(true);
  return event;
}

std::optional<EventIndex> EventTable::find(std::string_view name) const {
  const auto known = index_.find(name);
  if (known == index_.end()) return std::nullopt;
  return known->second;
}

void EventTable::forget_process() {
  present_.assign(present_.size(), false);
}

void EventTable::use_catalog(const Catalog* catalog) {
  catalog_ = catalog;
  ++catalog_generation_;
  for (EventIndex event = 0; event < names_.size(); ++event)
    described_[event] = catalog != nullptr ? catalog->find(names_[event]) : nullptr;
}

}  // namespace qemon::trace
