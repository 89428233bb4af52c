// NameLookup: the addresses of a host, looked up without anybody waiting for it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace qemon::daemon {

/// One lookup. A name server that does not answer keeps getaddrinfo() for half a minute, and Asio
/// has one thread for all lookups, which the names of monitors would wait for and the end of qemond
/// as well. So this has a thread of its own, which is left alone when the deadline has passed: it
/// ends by itself.
class NameLookup {
 public:
  explicit NameLookup(const boost::asio::any_io_executor& executor) : answer_(executor) {}

  boost::asio::awaitable<Result<std::vector<boost::asio::ip::tcp::endpoint>>> run(
      std::string host, std::uint16_t port, std::chrono::milliseconds deadline);
  /// Lets run() return at once, with an Error.
  void cancel() { answer_.close(); }

 private:
  boost::beast::basic_stream<boost::asio::local::stream_protocol> answer_;  // What the thread says.
};

}  // namespace qemon::daemon
