// RawClient: sends any bytes to a stream socket, for tests of what clients do wrong.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace qemon::test {

/// Works with blocking calls and gives up after the usual deadline.
class RawClient {
 public:
  /// `address` is "HOST:PORT" on this host, or the path of a Unix socket. Throws std::runtime_error
  /// when nobody listens there.
  explicit RawClient(const std::string& address);

  /// As much as the server takes: it may have had enough, and what it answered says so.
  void send(std::string_view bytes);
  /// One more piece of the answer; empty at the end.
  std::string receive_some(std::size_t bytes_max = 65536);
  /// Until `text` has come (with what came before and with it), or the end.
  std::string receive_until(std::string_view text);
  std::string receive_all();
  /// As long as nothing is received, the server can send about as much.
  void set_receive_buffer(int bytes);
  void finish_sending();
  /// Ends the connection by a reset.
  void reset();

 private:
  void connect(int family, const void* address, socklen_t length);

  UniqueFd fd_;
};

}  // namespace qemon::test
