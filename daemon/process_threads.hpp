// ProcessThreads: which of the threads that a log of the kernel names are those of one process.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <unordered_map>

#include "trace/log_decoder.hpp"

namespace qemon::daemon {

/// Asks /proc once for each thread, and again from time to time, since the kernel gives the ids of
/// threads that ended to others. A thread of ours that ended is remembered for a while: what it
/// wrote may come later.
class ProcessThreads {
 public:
  explicit ProcessThreads(pid_t process);

  [[nodiscard]] trace::LineOwner owner_of(std::uint32_t thread);
  /// Looks anew if that is due. Threads seen so are known also if they end before what they wrote
  /// is read.
  void refresh();

 private:
  struct Known {
    trace::LineOwner owner = trace::LineOwner::unknown;
    std::chrono::steady_clock::time_point seen;
  };

  pid_t process_;
  std::unordered_map<std::uint32_t, Known> threads_;
  std::chrono::steady_clock::time_point refreshed_{};
};

}  // namespace qemon::daemon
