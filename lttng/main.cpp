// qemon-lttng: the program through which qemond has a session of LTTng. Not for people.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/text.hpp"
#include "lttng/live_reader.hpp"
#include "lttng/live_session.hpp"
#include "lttng/wanted_arguments.hpp"

namespace {

using namespace qemon;
using namespace qemon::lttng;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr unsigned patience_at_end_seconds = 10;
constexpr const char* usage =
    "usage: qemon-lttng remove\n"
    "       qemon-lttng follow VM PID\n"
    "Started by qemond. `follow` takes commands from standard input until it ends, writes records\n"
    "to standard output as QEMU's simple backend does, and answers on standard error:\n"
    "  on EVENT [i:ARGUMENT|s:ARGUMENT]...   ok, or: failed: WHY\n"
    "  off EVENT                             ok, or: failed: WHY\n"
    "  read                                  ok, once all is written that was recorded before\n"
    "Unasked: ready; incomplete: EVENT ARGUMENT; overwritten: BUFFERS; ended: WHY\n";

/// An answer, whole, since two threads give some.
void say(std::string line) {
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const auto written = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// Waits until everything that was recorded until now is written.
Result<void> read_all(const LiveReader& reader, const std::atomic<bool>& over) {
  constexpr auto silence_max = 5s;
  constexpr auto patience = 8s;  // Less than that of qemond.
  const auto now = monotonic_ns();
  const auto began = Clock::now();
  auto moved = began;
  for (auto read = reader.read_until_ns(); read < now;) {
    if (over) return Error{"the session is over"};
    if (Clock::now() - moved > silence_max) return Error{"lttng-relayd does not answer"};
    if (Clock::now() - began > patience)
      return Error{"more is recorded than can be read: reading is " +
                   std::to_string((now - read) / 1'000'000) + " ms behind"};
    std::this_thread::sleep_for(5ms);
    const auto before = std::exchange(read, reader.read_until_ns());
    if (read != before) moved = Clock::now();
  }
  return {};
}

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty()) {
    const auto end = line.find(' ');
    if (end != 0) words.emplace_back(line.substr(0, end));
    line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  }
  return words;
}

Result<void> obey(const std::vector<std::string>& words, LiveSession& session,
                  WantedArguments& wanted) {
  if (words.size() == 2 && words[0] == "off") return session.disable(words[1]);
  if (words.size() < 2 || words[0] != "on") return Error{"not a command"};
  WantedArguments::List arguments;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const bool is_string = words[i].starts_with("s:");
    if (!is_string && !words[i].starts_with("i:")) return Error{"not an argument: " + words[i]};
    arguments.push_back({words[i].substr(2), is_string});
  }
  wanted.set(words[1], std::move(arguments));
  return session.enable(words[1]);
}

int follow(const LiveSessionOptions& options) {
  auto session = LiveSession::create(options);
  if (!session) {
    say("ended: " + session.error().detail);
    return 1;
  }
  WantedArguments wanted;
  LiveReader reader({session->url(), static_cast<std::uint32_t>(options.pid), STDOUT_FILENO,
                     [](const std::string& event, const std::string& argument) {
                       say("incomplete: " + event + " " + argument);
                     },
                     [](std::uint64_t buffers) { say("overwritten: " + std::to_string(buffers)); }},
                    wanted);
  if (auto attached = reader.attach(); !attached) {
    say("ended: " + attached.error().detail);
    return 1;
  }
  std::atomic<bool> over = false;
  std::thread reading([&] {
    const auto result = reader.run();
    over = true;
    if (!result) say("ended: " + result.error().detail);
    // Whoever reads us knows by this that nothing comes any more.
    ::close(STDOUT_FILENO);
  });
  say("ready");
  for (std::string line; std::getline(std::cin, line);) {
    const auto words = words_of(line);
    const bool is_read = words.size() == 1 && words[0] == "read";
    const auto done = is_read ? read_all(reader, over) : obey(words, *session, wanted);
    say(done ? "ok" : "failed: " + done.error().detail);
  }
  // Nobody reads any more, and whatever does not answer now shall not keep us: not the daemons, nor
  // the thread that reads, which waits for one of them.
  ::alarm(patience_at_end_seconds);
  std::_Exit(session->destroy() ? 0 : 1);
}

/// In the background: whoever starts us may not wait for an lttng-sessiond that does not answer.
int remove() {
  const pid_t child = ::fork();
  if (child != 0) return child < 0 ? 1 : 0;
  ::setsid();
  ::alarm(60);
  const auto removed = LiveSession::remove_left_behind();
  if (!removed) say(removed.error().detail);
  return removed ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  LiveSessionOptions options;
  // qemond ends us by closing our standard input, after which there is work left to do; a terminal
  // or a service manager sends these to all processes at once.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(number, SIG_IGN);
  if (words.size() == 1 && words[0] == "remove") return remove();
  std::string_view pid;
  if (words.size() == 3 && words[0] == "follow") pid = words[2];
  const auto number = take_number<pid_t>(pid);
  if (!number || !pid.empty()) {
    std::fputs(usage, stderr);
    return 2;
  }
  options.vm = words[1];
  options.pid = *number;
  return follow(options);
}
