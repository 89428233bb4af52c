#include "tests/support/process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

UniqueFd open_output(const std::string& path) {
  UniqueFd file(::open(path.empty() ? "/dev/null" : path.c_str(),
                       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) throw std::system_error(errno, std::generic_category(), "open " + path);
  return file;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& each : strings) result.push_back(each.data());
  result.push_back(nullptr);
  return result;
}

/// The child's part between fork and exec: only calls that are safe there. Returns what failed.
int become(const ProcessOptions& options, int out, int err, pid_t parent,
           const std::vector<char*>& argv, const std::vector<char*>& environment) {
  const bool talks = options.conversation >= 0;
  const int in = talks ? options.conversation : ::open("/dev/null", O_RDONLY);
  if (talks) out = in;
  if (in < 0 || ::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) return errno;
  if (options.user) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(options.user->gid) != 0 ||
        ::setuid(options.user->uid) != 0) {
      return errno;
    }
  }
  // After the change of user, which would clear it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  if (::getppid() != parent) ::_exit(1);
  ::execvpe(argv.front(), argv.data(), environment.data());
  return errno;
}

}  // namespace

std::optional<User> nobody() {
  const passwd* entry = ::getpwnam("nobody");
  if (entry == nullptr) return std::nullopt;
  return User{entry->pw_uid, entry->pw_gid};
}

Process::Process(ProcessOptions options) {
  const UniqueFd out = open_output(options.out);
  UniqueFd err;
  if (options.err_pipe) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      throw std::system_error(errno, std::generic_category(), "pipe");
    }
    error_pipe_.reset(ends[0]);
    err.reset(ends[1]);
    // Only our end: QEMU's must stay a blocking pipe, as a service manager's would be.
    ::fcntl(error_pipe_.get(), F_SETFL, O_NONBLOCK);
  } else {
    err = open_output(options.err);
  }
  std::vector<std::string> environment = options.environment;
  for (char** each = environ; *each != nullptr; ++each) environment.emplace_back(*each);
  const auto argv = pointers(options.command);
  const auto envp = pointers(environment);

  // The child tells through this pipe why it could not start; exec closes it.
  std::array<int, 2> failure{};
  if (::pipe2(failure.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe");
  }
  const UniqueFd failure_read(failure[0]);
  UniqueFd failure_write(failure[1]);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid_ == 0) {
    const int number = become(options, out.get(), err.get(), parent, argv, envp);
    const ssize_t ignored = ::write(failure_write.get(), &number, sizeof(number));
    ::_exit(ignored > 0 ? 127 : 126);
  }
  failure_write.reset();
  int number = 0;
  if (::read(failure_read.get(), &number, sizeof(number)) == sizeof(number)) {
    ::waitpid(pid_, nullptr, 0);
    throw std::system_error(number, std::generic_category(), "start " + options.command.front());
  }
}

Process::~Process() {
  kill();
}

bool Process::running() {
  if (status_) return false;
  int status = 0;
  const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return true;
  status_ = ExitStatus{WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                       WIFSIGNALED(status) ? WTERMSIG(status) : 0};
  return false;
}

void Process::signal(int number) const {
  // Once waited for, the number may belong to another process.
  if (!status_) ::kill(pid_, number);
}

std::optional<ExitStatus> Process::wait(std::chrono::milliseconds deadline) {
  if (!wait_until([this] { return !running(); }, deadline)) return std::nullopt;
  return status_;
}

void Process::kill() {
  if (!running()) return;
  signal(SIGKILL);
  wait();
}

const std::string& Process::errors_from_pipe() {
  std::array<char, 4096> piece{};
  for (;;) {
    const ssize_t count = ::read(error_pipe_.get(), piece.data(), piece.size());
    if (count <= 0) return errors_;
    errors_.append(piece.data(), static_cast<std::size_t>(count));
  }
}

std::string done(const Finished& finished) {
  if (finished.status != ExitStatus{}) throw std::runtime_error(finished.out + finished.err);
  return finished.out;
}

Finished run_program(const std::vector<std::string>& command, const std::string& directory,
                     std::chrono::milliseconds deadline) {
  static std::atomic<int> runs = 0;
  const std::string name = directory + "/run-" + std::to_string(++runs);
  ProcessOptions options;
  options.command = command;
  options.out = name + ".out";
  options.err = name + ".err";
  Process process(options);
  const auto status = process.wait(deadline);
  if (!status) throw std::runtime_error(command.front() + " did not end before its deadline");
  return Finished{*status, read_file(options.out), read_file(options.err)};
}

std::optional<std::string> find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "/usr/bin:/bin");
  for (std::string directory; std::getline(directories, directory, ':');) {
    const std::string candidate = directory + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return std::nullopt;
}

}  // namespace qemon::test
