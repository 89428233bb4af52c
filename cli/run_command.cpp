#include "cli/run_command.hpp"

#include <poll.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "base/unique_fd.hpp"

namespace qemon::cli {

namespace {

using Clock = std::chrono::steady_clock;

/// Takes the signals that would end us out of the way, and gives them back.
class HeldSignals {
 public:
  HeldSignals() {
    ::sigemptyset(&held_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&held_, number);
    ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
    fd_ = UniqueFd(::signalfd(-1, &held_, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  ~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  [[nodiscard]] const sigset_t& before() const { return before_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

  /// Passes on what has come.
  void pass_on(pid_t child) const {
    signalfd_siginfo info{};
    while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      // What the terminal sends it sends to all of its foreground processes.
      if (info.ssi_code != SI_KERNEL) ::kill(child, static_cast<int>(info.ssi_signo));
    }
  }

 private:
  sigset_t held_{};
  sigset_t before_{};
  UniqueFd fd_;
};

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
