#include "daemon/child_output.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <thread>
#include <tuple>
#include <utility>

#include "base/text.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// As much as the system lets everybody have: while we are away, the program goes on.
constexpr int pipe_bytes = 1024 * 1024;
constexpr std::size_t error_bytes_max = 4096;

struct Pipe {
  UniqueFd ours, theirs;
};

/// Our end does not block.
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(errno, "cannot make a pipe");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  ::fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(pipe.ours.get(), F_SETPIPE_SZ, pipe_bytes);
  return pipe;
}

/// 0 or an errno value.
int spawn(const std::vector<std::string>& words, int output, int errors, pid_t& pid) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  // posix_spawn does not change them; its type is older than const.
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  sigset_t none{}, usual{};
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);  // Which we ignore, and the program would too.
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  const int failed =
      ::posix_spawnp(&pid, arguments.front(), &files, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  return failed;
}

}  // namespace

Result<ChildOutput> ChildOutput::start(const std::vector<std::string>& words) {
  auto output = make_pipe();
  if (!output) return output.error();
  auto errors = make_pipe();
  if (!errors) return errors.error();
  ChildOutput child;
  if (const int failed = spawn(words, output->theirs.get(), errors->theirs.get(), child.pid_);
      failed != 0) {
    child.pid_ = -1;
    return system_error(failed, words.front());
  }
  child.output_ = std::move(output->ours);
  child.errors_ = std::move(errors->ours);
  return child;
}

ChildOutput::ChildOutput(ChildOutput&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      output_(std::move(other.output_)),
      errors_(std::move(other.errors_)),
      error_text_(std::move(other.error_text_)) {}

ChildOutput& ChildOutput::operator=(ChildOutput&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(output_, other.output_);
  std::swap(errors_, other.errors_);
  std::swap(error_text_, other.error_text_);
  return *this;
}

ChildOutput::~ChildOutput() {
  kill();
  for (int tries = 0; tries < 100 && !reap(); ++tries) std::this_thread::sleep_for(1ms);
}

ChildOutput::Read ChildOutput::read(std::span<char> into) {
  for (;;) {
    const auto size = ::read(output_.get(), into.data(), into.size());
    if (size > 0) return {static_cast<std::size_t>(size), false};
    if (size < 0 && errno == EINTR) continue;
    return {0, size == 0 || errno != EAGAIN};
  }
}

std::size_t ChildOutput::waiting() const {
  int bytes = 0;
  return output_ && ::ioctl(output_.get(), FIONREAD, &bytes) == 0 && bytes > 0
             ? static_cast<std::size_t>(bytes)
             : 0;
}

std::string ChildOutput::last_error() {
  std::array<char, error_bytes_max> bytes{};
  ssize_t size = 0;
  while (errors_ && (size = ::read(errors_.get(), bytes.data(), bytes.size())) > 0) {
    error_text_.append(bytes.data(), static_cast<std::size_t>(size));
    if (error_text_.size() > error_bytes_max)
      error_text_.erase(0, error_text_.size() - error_bytes_max);
  }
  const auto text = trimmed(error_text_);
  return std::string(text.substr(text.rfind('\n') + 1));
}

asio::awaitable<void> ChildOutput::stop() {
  kill();
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor);
  const auto until = std::chrono::steady_clock::now() + 5s;
  while (!reap() && std::chrono::steady_clock::now() < until) {
    timer.expires_after(2ms);
    std::ignore = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  pid_ = -1;
  output_.reset();
  errors_.reset();
}

void ChildOutput::kill() const {
  // It only reads and writes: there is nothing that it has to put in order.
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

bool ChildOutput::reap() {
  if (pid_ <= 0) return true;
  const auto gone = ::waitpid(pid_, nullptr, WNOHANG);
  if (gone == 0 || (gone < 0 && errno == EINTR)) return false;
  pid_ = -1;
  return true;
}

}  // namespace qemon::daemon
