#include "cli/progress.hpp"

#include <algorithm>
#include <ostream>

#include "cli/text.hpp"

namespace qemon::cli {
namespace {

constexpr std::chrono::milliseconds first_after{500};
constexpr std::chrono::milliseconds interval{200};
// Back to the beginning of the line, and clear it.
constexpr const char* clear_line = "\r\x1b[K";

}  // namespace

std::string progress_line(std::uint64_t done, std::optional<std::uint64_t> total, double seconds) {
  std::string line;
  if (total && *total > 0) {
    // A file may grow while it is read.
    const auto percent = static_cast<double>(done) / static_cast<double>(*total) * 100;
    line = std::to_string(static_cast<int>(std::min(percent, 100.0))) + "%, ";
  }
  line += human_bytes(done);
  if (total) line += " of " + human_bytes(*total);
  if (seconds > 0) {
    const auto rate = static_cast<double>(done) / seconds;
    line += ", " + human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  }
  return line;
}

Progress::Progress(std::ostream* terminal, std::optional<std::uint64_t> total)
    : terminal_(terminal), total_(total), next_(start_ + first_after) {}

void Progress::show(std::uint64_t done) {
  if (terminal_ == nullptr) return;
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + interval;
  const std::chrono::duration<double> elapsed = now - start_;
  *terminal_ << clear_line << progress_line(done, total_, elapsed.count()) << std::flush;
  shown_ = true;
}

void Progress::wipe() {
  if (shown_) *terminal_ << clear_line << std::flush;
  shown_ = false;
}

}  // namespace qemon::cli
