// Progress: one line on a terminal that says how far a long reading has come.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

namespace qemon::cli {

/// "37%, 1.2 GiB of 3.3 GiB, 412.3 MiB/s"; without a total "1.2 GiB, 412.3 MiB/s".
[[nodiscard]] std::string progress_line(std::uint64_t done, std::optional<std::uint64_t> total,
                                        double seconds);

/// Rewrites its line at most 5 times a second, for the first time after half a second: what is done
/// by then needs no progress. Owns nothing; ends with the line wiped.
class Progress {
 public:
  /// `terminal`: where to write; nullptr for nowhere. `total`: what done() will be at the end.
  Progress(std::ostream* terminal, std::optional<std::uint64_t> total);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { wipe(); }

  void show(std::uint64_t done);
  /// Before anything else is written to the terminal.
  void wipe();

 private:
  using Clock = std::chrono::steady_clock;

  std::ostream* terminal_;
  std::optional<std::uint64_t> total_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_;
  bool shown_ = false;
};

}  // namespace qemon::cli
