#include "daemon/socket_watch.hpp"

#include <glob.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <string_view>

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// More VMs than one host can run; a pattern that finds more is a mistake.
constexpr std::size_t sockets_max = 10'000;
constexpr std::size_t folders_max = 1'000;
// A host that starts many VMs at once is looked at once for all of them.
constexpr auto gathering = 50ms;

constexpr std::string_view wildcards = "*?[";

template <typename Take>
void each_match(const std::string& pattern, std::size_t matches_max, Take take) {
  glob_t found{};
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc && i < matches_max; ++i) {
      struct stat about {};
      if (::stat(found.gl_pathv[i], &about) == 0) take(found.gl_pathv[i], about.st_mode);
    }
  }
  ::globfree(&found);
}

}  // namespace

std::vector<std::string> find_sockets(const std::string& pattern) {
  std::vector<std::string> sockets;
  each_match(pattern, sockets_max, [&](const char* path, mode_t mode) {
    if (S_ISSOCK(mode)) sockets.emplace_back(path);
  });
  std::sort(sockets.begin(), sockets.end());
  return sockets;
}

std::vector<std::string> folders_of_pattern(const std::string& pattern) {
  std::vector<std::string> folders;
  // Each part with a wildcard, and the last one, is looked for in the folders that the parts before
  // it match.
  for (std::size_t begin = 0; begin < pattern.size();) {
    const auto end = std::min(pattern.find('/', begin), pattern.size());
    const auto part = std::string_view(pattern).substr(begin, end - begin);
    if (part.find_first_of(wildcards) != std::string_view::npos || end == pattern.size()) {
      each_match(begin == 0 ? "." : pattern.substr(0, begin), folders_max - folders.size(),
                 [&](const char* path, mode_t mode) {
                   if (S_ISDIR(mode)) folders.emplace_back(path);
                 });
    }
    begin = end + 1;
  }
  return folders;
}

SocketWatch::SocketWatch(asio::any_io_executor executor) : inotify_(executor), timer_(executor) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return;
  boost::system::error_code ec;
  inotify_.assign(fd, ec);
  if (ec) ::close(fd);
}

void SocketWatch::watch(const std::vector<std::string>& patterns) {
  if (!inotify_.is_open()) return;
  for (const auto& pattern : patterns) {
    // A folder that is watched already keeps its watch; one that is gone lost it.
    for (const auto& folder : folders_of_pattern(pattern)) {
      ::inotify_add_watch(inotify_.native_handle(), folder.c_str(),
                          IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR);
    }
  }
}

asio::awaitable<void> SocketWatch::wait(std::chrono::milliseconds longest) {
  constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
  if (closed_) co_return;
  timer_.expires_after(longest);
  if (inotify_.is_open()) {
    // Whichever comes first ends the other; the handler owns nothing that may be gone.
    const auto waiting = std::make_shared<bool>(true);
    timer_.async_wait([this, waiting](const boost::system::error_code&) {
      boost::system::error_code ignored;
      if (*waiting) inotify_.cancel(ignored);
    });
    const auto [ec] =
        co_await inotify_.async_wait(asio::posix::stream_descriptor::wait_read, as_result);
    *waiting = false;
    if (ec || closed_) co_return;
    timer_.expires_after(std::min<std::chrono::milliseconds>(gathering, longest));
  }
  co_await timer_.async_wait(as_result);
  if (!closed_) drain();
}

void SocketWatch::drain() {
  if (!inotify_.is_open()) return;
  std::array<char, 4096> events;
  while (::read(inotify_.native_handle(), events.data(), events.size()) > 0) continue;
}

void SocketWatch::close() {
  closed_ = true;
  timer_.cancel();
  boost::system::error_code ignored;
  inotify_.cancel(ignored);
}

}  // namespace qemon::daemon
