#include "cli/run_command.hpp"

#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/unique_fd.hpp"
#include "cli/held_signals.hpp"

namespace qemon::cli {

namespace {

using Clock = std::chrono::steady_clock;

Result<pid_t> spawn(const std::vector<std::string>& words, const sigset_t& mask) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  // posix_spawn does not change them; its type is older than const.
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  ::posix_spawnattr_setsigmask(&attributes, &mask);
  pid_t child = -1;
  const int failed = ::posix_spawnp(&child, words.front().c_str(), nullptr, &attributes,
                                    arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) return system_error(failed, words.front());
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<int> run_command(const std::vector<std::string>& words, std::chrono::milliseconds interval,
                        const std::function<void()>& every) {
  const HeldSignals signals;
  const Result<pid_t> child = spawn(words, signals.before());
  if (!child) return child.error();
  // glibc 2.36 declares pidfd_open() in a way that C++ cannot use.
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, *child, 0)));
  auto next = Clock::now() + interval;
  std::array<pollfd, 2> waiting{{{process.get(), POLLIN, 0}, {signals.fd(), POLLIN, 0}}};
  while (process) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    const auto timeout =
        static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
    ::poll(waiting.data(), waiting.size(), timeout);
    if (waiting[1].revents != 0) signals.pass_on(*child);
    if (waiting[0].revents != 0) break;
    if (Clock::now() < next) continue;
    every();
    next = Clock::now() + interval;
  }
  return wait_for(*child);
}

}  // namespace qemon::cli
