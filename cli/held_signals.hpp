// HeldSignals: the signals that would end us, taken out of the way for a while.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>

#include "base/unique_fd.hpp"

namespace qemon::cli {

/// SIGINT, SIGTERM, SIGHUP and SIGQUIT are held from the beginning to the end of its life. Those
/// that nobody took end us then.
class HeldSignals {
 public:
  HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  ~HeldSignals();

  /// The mask as it was before.
  [[nodiscard]] const sigset_t& before() const { return before_; }
  /// Readable when one has come.
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Passes on what has come.
  void pass_on(pid_t child) const;
  /// Waits for one, and takes it; false if none came in that time.
  [[nodiscard]] bool wait(std::chrono::milliseconds time) const;

 private:
  sigset_t held_{};
  sigset_t before_{};
  UniqueFd fd_;
};

}  // namespace qemon::cli
