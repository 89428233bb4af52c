// Marks: moments that users noted with `qemon mark`.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "daemon/leases.hpp"

namespace qemon::daemon {

struct Mark {
  std::uint64_t id = 0;  ///< From 1 on, in the order of time.
  std::chrono::system_clock::time_point time;
  std::string vm;  ///< Empty: it is about none in particular.
  std::string text;
  std::vector<std::string> tags;
  Asker asker;
};

/// The last ones, as long as qemond runs. Owned by the daemon.
class Marks {
 public:
  /// Gives it an id, and lets the oldest go if there are too many.
  const Mark& add(Mark mark);
  /// By time.
  [[nodiscard]] const std::deque<Mark>& all() const { return marks_; }
  /// How many there were that are about no VM in particular.
  [[nodiscard]] std::uint64_t count_without_vm() const { return without_vm_; }

 private:
  std::deque<Mark> marks_;
  std::uint64_t last_id_ = 0;
  std::uint64_t without_vm_ = 0;
};

/// An Error if it is no text for a mark: 1 to 500 bytes of UTF-8 on one line.
[[nodiscard]] Result<void> check_mark_text(std::string_view text);

}  // namespace qemon::daemon
