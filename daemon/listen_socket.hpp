// Sockets that listen, made with errors that say what to do.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qemon::daemon {

struct TcpListenSocket {
  UniqueFd fd;
  std::string address;  ///< What it is bound to, for instance "[::1]:9749"; never with port 0.
};

/// `address` as for HttpServer::listen_tcp. Looks the host up, so a name other than localhost can
/// take a while.
[[nodiscard]] Result<TcpListenSocket> open_tcp_listener(const std::string& address);

/// What a TCP socket is bound to, as TcpListenSocket has it.
[[nodiscard]] Result<std::string> bound_address(int fd);

struct UnixListenSocket {
  UniqueFd fd;
  std::string path;
  dev_t device = 0;  ///< Of the socket file: with the inode they tell whether the file at `path` is
                     ///< still ours.
  ino_t inode = 0;
};

/// See HttpServer::listen_unix.
[[nodiscard]] Result<UnixListenSocket> open_unix_listener(const std::string& path, unsigned mode);

/// Removes the socket file, unless another one is in its place by now.
void remove_socket_file(const UnixListenSocket& socket);

}  // namespace qemon::daemon
