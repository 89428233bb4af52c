#include "daemon/lttng_helper.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// It asks every process that LTTng knows for its tracepoints, which may take 5 s each.
constexpr auto start_patience = 15s;
constexpr auto command_patience = 10s;
// Longer than its own, after which it ends whatever happens.
constexpr auto end_patience = 12s;
constexpr int records_pipe_bytes = 1 << 20;

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error(errno, "pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void never_block(const UniqueFd& fd) {
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

/// `ends` become its standard input, output and error output; all but those are closed.
Result<pid_t> spawn_with(const std::vector<std::string>& words, const std::array<int, 3>& ends) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  // posix_spawn does not change them; its type is older than const.
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (int number = 0; number < 3; ++number)
    ::posix_spawn_file_actions_adddup2(&actions, ends[static_cast<std::size_t>(number)], number);
  pid_t child = -1;
  const int failed =
      ::posix_spawn(&child, words.front().c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return system_error(failed, words.front());
  return child;
}

}  // namespace

LttngHelper::LttngHelper(asio::any_io_executor executor) : executor_(std::move(executor)) {}

LttngHelper::~LttngHelper() = default;

asio::awaitable<Result<void>> LttngHelper::start(std::string vm, pid_t qemu) {
  const auto program = lttng_helper_program();
  if (program.empty())
    co_return Error{
        "qemon-lttng is not installed: install the package qemon-lttng, or build qemon with "
        "liblttng-ctl and libbabeltrace2"};
  const std::vector<std::string> words{program, "follow", vm, std::to_string(qemu)};
  if (auto spawned = spawn(words); !spawned) co_return spawned;
  const auto answer = co_await next_answer(start_patience);
  if (!answer) co_return answer.error();
  if (*answer != "ready") co_return Error{"qemon-lttng said: " + *answer};
  was_ready_ = true;
  co_return Result<void>();
}

Result<void> LttngHelper::spawn(const std::vector<std::string>& words) {
  auto commands = make_pipe();
  auto records = make_pipe();
  auto said = make_pipe();
  if (!commands) return commands.error();
  if (!records) return records.error();
  if (!said) return said.error();
  // Best effort: a smaller one works too.
  ::fcntl(records->write.get(), F_SETPIPE_SZ, records_pipe_bytes);
  auto child = spawn_with(words, {commands->read.get(), records->write.get(), said->write.get()});
  if (!child) return child.error();
  pid_ = *child;
  commands_ = std::move(commands->write);
  records_ = std::move(records->read);
  never_block(commands_);
  never_block(records_);
  said_ = std::make_shared<asio::posix::stream_descriptor>(executor_, said->read.release());
  said_->non_blocking(true);
  return {};
}

asio::awaitable<Result<void>> LttngHelper::ask(std::string command) {
  if (!ended_.empty()) co_return Error{ended_};
  command += '\n';
  const auto size = static_cast<ssize_t>(command.size());
  // A line fits the pipe, unless it has not taken others for a long time.
  if (!commands_ || ::write(commands_.get(), command.data(), command.size()) != size) {
    give_up("qemon-lttng takes no commands");
    co_return Error{ended_};
  }
  const auto answer = co_await next_answer(command_patience);
  if (!answer) co_return answer.error();
  std::string_view text = *answer;
  constexpr std::string_view failed = "failed: ";
  if (text == "ok") co_return Result<void>();
  if (text.starts_with(failed)) text.remove_prefix(failed.size());
  co_return Error{"LTTng: " + std::string(text)};
}

asio::awaitable<void> LttngHelper::end() {
  commands_.reset();
  // So that it does not wait for us to read.
  records_.reset();
  if (pid_ < 0) co_return;
  // glibc 2.36 declares pidfd_open() in a way that C++ cannot use.
  const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (fd >= 0) {
    auto process = std::make_shared<asio::posix::stream_descriptor>(executor_, fd);
    const bool gone = co_await wait_for(process, end_patience);
    if (!gone) {
      ::kill(pid_, SIGKILL);
      co_await wait_for(process, command_patience);
    }
  }
  int status = 0;
  const bool cleaned_up = ::waitpid(pid_, &status, WNOHANG) == pid_ && status == 0;
  pid_ = -1;
  // One that never was ready has undone what it did before it said why.
  if (!cleaned_up && was_ready_) remove_left_lttng_sessions();
  listen();
}

/// True once there is something to read, or the other end is closed.
asio::awaitable<bool> LttngHelper::wait_for(
    std::shared_ptr<asio::posix::stream_descriptor> readable, std::chrono::milliseconds patience) {
  asio::steady_timer deadline(executor_, patience);
  deadline.async_wait([readable](const boost::system::error_code& error) {
    if (!error) readable->cancel();
  });
  const auto [error] = co_await readable->async_wait(asio::posix::stream_descriptor::wait_read,
                                                     asio::as_tuple(asio::use_awaitable));
  co_return !error;
}

asio::awaitable<Result<std::string>> LttngHelper::next_answer(std::chrono::milliseconds patience) {
  for (;;) {
    listen();
    if (!answers_.empty()) {
      std::string answer = std::move(answers_.front());
      answers_.pop_front();
      co_return Result<std::string>(boost::system::in_place_value, std::move(answer));
    }
    if (!ended_.empty() || !said_) co_return Error{ended_};
    const auto readable = said_;
    const bool something = co_await wait_for(readable, patience);
    // What it said may have been read meanwhile by somebody else.
    listen();
    if (!something && answers_.empty() && ended_.empty()) {
      // What it answers later would be taken for the answer to another command.
      give_up("LTTng's daemons do not answer");
    }
  }
}

void LttngHelper::give_up(const std::string& why) {
  if (ended_.empty()) ended_ = why;
  if (std::exchange(gave_up_, true)) return;
  if (pid_ > 0) ::kill(pid_, SIGKILL);
  remove_left_lttng_sessions();
}

void LttngHelper::listen() {
  std::array<char, 4096> bytes{};
  while (said_) {
    const auto size = ::read(said_->native_handle(), bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    if (size == 0) {
      said_.reset();
      if (ended_.empty()) ended_ = "qemon-lttng has ended";
      break;
    }
    partial_.append(bytes.data(), static_cast<std::size_t>(size));
    for (auto end = partial_.find('\n'); end != std::string::npos; end = partial_.find('\n')) {
      take_line(partial_.substr(0, end));
      partial_.erase(0, end + 1);
    }
    constexpr std::size_t line_bytes_max = 65536;
    if (partial_.size() > line_bytes_max) partial_.clear();
  }
}

void LttngHelper::take_line(std::string line) {
  constexpr std::string_view incomplete = "incomplete: ";
  constexpr std::string_view overwritten = "overwritten: ";
  constexpr std::string_view ended = "ended: ";
  std::string_view rest = line;
  if (rest.starts_with(incomplete)) {
    incomplete_.insert(line.substr(incomplete.size()));
  } else if (rest.starts_with(overwritten)) {
    rest.remove_prefix(overwritten.size());
    overwritten_ += take_count(rest).value_or(0);
  } else if (rest.starts_with(ended)) {
    ended_ = line.substr(ended.size());
  } else if (rest == "ready" || rest == "ok" || rest.starts_with("failed: ")) {
    answers_.push_back(std::move(line));
    // Whoever waits for it is not told by the pipe, which has been emptied.
    if (said_) said_->cancel();
  }
  // Whatever else there is comes from LTTng's libraries, and is said in an answer as well.
}

std::string lttng_helper_program() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  auto helper = (program.parent_path().parent_path() / "lib/qemon/qemon-lttng").string();
  return ::access(helper.c_str(), X_OK) == 0 ? helper : std::string();
}

void remove_left_lttng_sessions() {
  const auto program = lttng_helper_program();
  if (program.empty()) return;
  const UniqueFd nowhere(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nowhere) return;
  const auto child = spawn_with({program, "remove"}, {nowhere.get(), nowhere.get(), nowhere.get()});
  // It goes on in the background and its first process ends at once.
  if (child) ::waitpid(*child, nullptr, 0);
}

}  // namespace qemon::daemon
