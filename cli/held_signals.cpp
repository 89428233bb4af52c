#include "cli/held_signals.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

namespace qemon::cli {

HeldSignals::HeldSignals() {
  ::sigemptyset(&held_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&held_, number);
  ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
  fd_ = UniqueFd(::signalfd(-1, &held_, SFD_CLOEXEC | SFD_NONBLOCK));
}

HeldSignals::~HeldSignals() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void HeldSignals::pass_on(pid_t child) const {
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    // What the terminal sends it sends to all of its foreground processes.
    if (info.ssi_code != SI_KERNEL) ::kill(child, static_cast<int>(info.ssi_signo));
  }
}

bool HeldSignals::wait(std::chrono::milliseconds time) const {
  pollfd waiting{fd_.get(), POLLIN, 0};
  const auto most = std::max<std::chrono::milliseconds::rep>(time.count(), 0);
  if (::poll(&waiting, 1, static_cast<int>(most)) <= 0) return false;
  signalfd_siginfo info{};
  return ::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info);
}

}  // namespace qemon::cli
