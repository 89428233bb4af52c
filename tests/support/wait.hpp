// Waiting for a condition with a deadline, the only way in which a test may wait.
#pragma once

#include <chrono>
#include <functional>

namespace qemon::test {

/// Only a failure waits this long, so it is generous: sanitizers and two busy processors included.
inline constexpr std::chrono::seconds default_deadline{60};

/// True as soon as `condition` holds; false if it still does not at the deadline. It is asked every
/// few milliseconds, and at least twice, however slow it is.
[[nodiscard]] bool wait_until(const std::function<bool()>& condition,
                              std::chrono::milliseconds deadline = default_deadline);

}  // namespace qemon::test
