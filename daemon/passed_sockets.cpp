#include "daemon/passed_sockets.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qemon::daemon {

namespace {

struct NamedFd {
  std::string name;
  UniqueFd fd;
};

Result<std::vector<NamedFd>> take_descriptors() {
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  if (count < 0) return system_error(-count, "sockets from systemd ($LISTEN_FDS)");
  std::vector<NamedFd> all;
  for (int index = 0; index < count; ++index) {
    all.push_back({names[index], UniqueFd(SD_LISTEN_FDS_START + index)});
    std::free(names[index]);
  }
  std::free(names);
  return all;
}

Error wrong_kind(std::string_view name, std::string_view wanted, std::string_view example) {
  return Error{"the socket '" + std::string(name) + "' from systemd is not " + std::string(wanted) +
               ": its unit needs " + std::string(example)};
}

bool listens(int fd, int family) {
  return ::sd_is_socket(fd, family, SOCK_STREAM, 1) > 0;
}

/// Empty if it has none.
Result<std::string> read_unix_path(int fd) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return system_error(errno, "the socket 'control' from systemd");
  // Not every kernel ends a path of full length with a zero.
  const std::string_view path(address.sun_path, sizeof address.sun_path);
  return {boost::system::in_place_value, path.substr(0, path.find('\0'))};
}

Result<TcpListenSocket> as_http(UniqueFd fd) {
  if (!listens(fd.get(), AF_INET) && !listens(fd.get(), AF_INET6))
    return wrong_kind("http", "a TCP socket that listens", "ListenStream=HOST:PORT and Accept=no");
  TcpListenSocket socket;
  auto address = bound_address(fd.get());
  if (!address) return wrap(address.error(), "the socket 'http' from systemd");
  socket.address = std::move(*address);
  socket.fd = std::move(fd);
  return socket;
}

Result<UnixListenSocket> as_control(UniqueFd fd) {
  if (!listens(fd.get(), AF_UNIX))
    return wrong_kind("control", "a Unix stream socket that listens",
                      "ListenStream=/PATH and Accept=no");
  UnixListenSocket socket;
  auto path = read_unix_path(fd.get());
  if (!path) return path.error();
  socket.path = std::move(*path);
  socket.fd = std::move(fd);
  return socket;
}

/// The server's loop must never wait in accept().
Result<void> make_nonblocking(const UniqueFd& fd, const std::string& name) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return system_error(errno, "the socket '" + name + "' from systemd");
  return {};
}

Result<void> take(NamedFd passed, PassedSockets& sockets) {
  const std::string& name = passed.name;
  if (name != "http" && name != "control")
    return Error{"the socket '" + name +
                 "' from systemd is unknown: its unit needs FileDescriptorName=http or "
                 "FileDescriptorName=control"};
  if (name == "http" ? sockets.http.has_value() : sockets.control.has_value())
    return Error{"systemd passed more than one socket '" + name +
                 "': its unit needs one ListenStream only"};
  if (auto done = make_nonblocking(passed.fd, name); !done) return done;
  if (name == "http") {
    auto socket = as_http(std::move(passed.fd));
    if (!socket) return socket.error();
    sockets.http.emplace(std::move(*socket));
    return {};
  }
  auto socket = as_control(std::move(passed.fd));
  if (!socket) return socket.error();
  sockets.control.emplace(std::move(*socket));
  return {};
}

}  // namespace

Result<PassedSockets> take_passed_sockets() {
  auto all = take_descriptors();
  if (!all) return all.error();
  PassedSockets sockets;
  for (NamedFd& passed : *all)
    if (auto done = take(std::move(passed), sockets); !done) return done.error();
  return sockets;
}

}  // namespace qemon::daemon
