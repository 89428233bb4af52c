#include "daemon/trace_completeness.hpp"

#include <algorithm>

namespace qemon::daemon {
namespace {

constexpr auto window = std::chrono::seconds(60);

}  // namespace

void TraceCompleteness::tick(Clock::time_point now, std::uint64_t losses, bool losing) {
  if (!since_) {
    since_ = now;
  } else if (losses != losses_ || losing) {
    if (!spans_.empty() && spans_.back().to == last_) {
      spans_.back().to = now;
    } else {
      spans_.push_back({last_, now});
    }
  }
  while (!spans_.empty() && spans_.front().to <= now - window) spans_.pop_front();
  last_ = now;
  losses_ = losses;
}

void TraceCompleteness::stop() {
  since_.reset();
  spans_.clear();
}

std::optional<double> TraceCompleteness::ratio(Clock::time_point now) const {
  if (!since_ || last_ == *since_) return std::nullopt;
  // Up to the last tick: what came after is not known yet.
  const auto from = std::max(*since_, std::min(now, last_) - window);
  Clock::duration lossy{};
  for (const auto& span : spans_)
    lossy += std::max(span.to - std::max(span.from, from), Clock::duration(0));
  const std::chrono::duration<double> all = last_ - from;
  return 1 - std::chrono::duration<double>(lossy) / all;
}

}  // namespace qemon::daemon
