// SocketWatch: tells when files may have appeared or gone whose paths match patterns.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <string>
#include <vector>

namespace qemon::daemon {

/// Every file that matches the pattern, sorted; of Unix sockets only. At most 10,000.
[[nodiscard]] std::vector<std::string> find_sockets(const std::string& pattern);

/// Every folder in which a file that matches `pattern` could appear, or a folder on the way to one,
/// as far as they are there now. At most 1,000.
[[nodiscard]] std::vector<std::string> folders_of_pattern(const std::string& pattern);

/// Watches folders by inotify(7). A help and no promise: where the kernel has no watches left, or
/// for a folder that is not there yet, nothing is told, so callers look by themselves now and then.
/// Owned by the Fleet; one thread.
class SocketWatch {
 public:
  explicit SocketWatch(boost::asio::any_io_executor executor);

  /// Watches the folders of these patterns as they are now, besides those watched already. To be
  /// called again after each change, because folders come and go too.
  void watch(const std::vector<std::string>& patterns);
  /// Waits until something changed, or `longest` has passed, or close() was called. What changes
  /// within a few milliseconds is told at once.
  boost::asio::awaitable<void> wait(std::chrono::milliseconds longest);
  void close();

 private:
  void drain();

  boost::asio::posix::stream_descriptor inotify_;
  boost::asio::steady_timer timer_;
  bool closed_ = false;
};

}  // namespace qemon::daemon
