#include "trace/event_names.hpp"

#include <algorithm>
#include <utility>

namespace qemon::trace {

EventNames::EventNames(std::vector<std::string> names) : names_(std::move(names)) {
  index_.reserve(names_.size());
  for (EventIndex event = 0; event < names_.size(); ++event) index_.emplace(names_[event], event);
}

std::optional<EventIndex> EventNames::find(std::string_view name) const {
  const auto known = index_.find(name);
  if (known == index_.end()) return std::nullopt;
  return known->second;
}

std::shared_ptr<const EventNames> EventNamesPool::share(std::span<const std::string_view> names) {
  std::erase_if(known_, [](const auto& known) { return known.expired(); });
  // A host runs few builds of QEMU, and lists of different builds differ near their beginning.
  for (const auto& known : known_) {
    auto candidate = known.lock();
    if (candidate && std::ranges::equal(candidate->names(), names)) return candidate;
  }
  auto made =
      std::make_shared<const EventNames>(std::vector<std::string>(names.begin(), names.end()));
  known_.push_back(made);
  return made;
}

}  // namespace qemon::trace
