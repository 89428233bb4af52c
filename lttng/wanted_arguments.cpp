#include "lttng/wanted_arguments.hpp"

#include <utility>

namespace qemon::lttng {

void WantedArguments::set(const std::string& event, List arguments) {
  const std::lock_guard lock(mutex_);
  const auto [place, is_new] = events_.try_emplace(event);
  if (!is_new && place->second == arguments) return;
  place->second = std::move(arguments);
  ++generation_;
}

WantedArguments::List WantedArguments::of(const std::string& event) const {
  const std::lock_guard lock(mutex_);
  const auto place = events_.find(event);
  return place == events_.end() ? List() : place->second;
}

}  // namespace qemon::lttng
