#include "daemon/process_threads.hpp"

#include <dirent.h>
#include <unistd.h>

#include <charconv>
#include <memory>
#include <string>

namespace qemon::daemon {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using trace::LineOwner;

namespace {

// QEMU's workers stay for ten seconds after their last piece of work.
constexpr auto refresh_interval = 250ms;
// No thread id comes again so soon, and no line is so late.
constexpr auto remembered_for = 5s;

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

ProcessThreads::ProcessThreads(pid_t process) : process_(process) {}

LineOwner ProcessThreads::owner_of(std::uint32_t thread) {
  const auto found = threads_.find(thread);
  if (found != threads_.end()) return found->second.owner;
  const auto id = std::to_string(thread);
  Known known{LineOwner::unknown, Clock::now()};
  if (exists("/proc/" + std::to_string(process_) + "/task/" + id)) {
    known.owner = LineOwner::us;
  } else if (exists("/proc/" + id)) {
    known.owner = LineOwner::others;
  } else {
    return LineOwner::unknown;
  }
  threads_.emplace(thread, known);
  return known.owner;
}

void ProcessThreads::refresh() {
  const auto now = Clock::now();
  if (now - refreshed_ < refresh_interval) return;
  refreshed_ = now;
  const auto path = "/proc/" + std::to_string(process_) + "/task";
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(path.c_str()), ::closedir);
  // A process that is gone has threads whose last lines are still to be read.
  if (!entries) return;
  while (const auto* entry = ::readdir(entries.get())) {
    const std::string_view name(entry->d_name);
    std::uint32_t thread = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), thread);
    if (parsed.ec == std::errc()) threads_[thread] = {LineOwner::us, now};
  }
  std::erase_if(threads_, [now](const auto& each) {
    const auto& known = each.second;
    return known.owner == LineOwner::us ? now - known.seen > remembered_for
                                        : now - known.seen > refresh_interval;
  });
}

}  // namespace qemon::daemon
