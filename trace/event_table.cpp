#include "trace/event_table.hpp"

#include <algorithm>
#include <utility>

namespace qemon::trace {

EventIndex EventTable::add(std::string_view name) {
  if (const auto known = find(name)) {
    present_[*known] = true;
    return *known;
  }
  const auto event = static_cast<EventIndex>(size());
  names_.emplace_back(name);
  index_.emplace(names_.back(), event);
  present_.push_back(true);
  return event;
}

std::optional<EventIndex> EventTable::find(std::string_view name) const {
  if (shared_) {
    if (const auto shared = shared_->find(name)) return shared;
  }
  const auto known = index_.find(name);
  if (known == index_.end()) return std::nullopt;
  return known->second;
}

void EventTable::begin_process(std::shared_ptr<const EventNames> names) {
  process_ = names;
  if (size() == 0) {
    shared_ = std::move(names);
    present_.assign(size(), true);
    return;
  }
  if (shared_ == names) {
    // As before, and what was learned besides is gone.
    present_.assign(size(), false);
    std::fill_n(present_.begin(), shared_size(), true);
    return;
  }
  present_.assign(size(), false);
  for (const auto& name : names->names()) add(name);
}

void EventTable::use_catalog(const Catalog* catalog) {
  catalog_ = catalog;
  ++catalog_generation_;
}

const CatalogEvent* EventTable::described(EventIndex event) const {
  return catalog_ != nullptr ? catalog_->find(name(event)) : nullptr;
}

}  // namespace qemon::trace
