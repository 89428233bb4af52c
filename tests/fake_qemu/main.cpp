// fake-qemu DIRECTORY RECORDING: QMP monitors without VMs behind them, at DIRECTORY/NAME.qmp. See
// control.hpp for what it is told.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <latch>
#include <semaphore>
#include <thread>
#include <vector>

#include "tests/fake_qemu/control.hpp"

namespace {

/// Threads that do nothing, so that the thread ids of vCPUs and iothreads are those of real ones.
class IdleThreads {
 public:
  explicit IdleThreads(std::size_t count) : ids_(count), started_(static_cast<int>(count)) {
    for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this, i] { idle(i); });
    started_.wait();
  }
  IdleThreads(const IdleThreads&) = delete;
  IdleThreads& operator=(const IdleThreads&) = delete;
  ~IdleThreads() { end_.release(static_cast<int>(threads_.size())); }

  [[nodiscard]] const std::vector<pid_t>& ids() const { return ids_; }

 private:
  void idle(std::size_t place) {
    ids_[place] = static_cast<pid_t>(::syscall(SYS_gettid));
    started_.count_down();
    end_.acquire();
  }

  std::vector<pid_t> ids_;
  std::latch started_;
  std::counting_semaphore<64> end_{0};
  std::vector<std::jthread> threads_;  // Last, so that they end before what they use.
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fputs("usage: fake-qemu DIRECTORY RECORDING\n", stderr);
    return 2;
  }
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  std::signal(SIGPIPE, SIG_IGN);

  const IdleThreads threads(4);
  const qemon::fake::Recording recording(argv[2], threads.ids());
  boost::asio::io_context context(1);
  qemon::fake::Control control(context.get_executor(), recording, argv[1]);
  boost::asio::co_spawn(context, control.run(), [](std::exception_ptr problem) {
    if (problem) std::rethrow_exception(problem);
  });
  context.run();
  return 0;
} catch (const std::exception& problem) {
  std::fprintf(stderr, "fake-qemu: %s\n", problem.what());
  return 1;
}
