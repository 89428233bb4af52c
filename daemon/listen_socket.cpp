#include "daemon/listen_socket.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

namespace qemon::daemon {

namespace {

struct HostAndPort {
  std::string host;  ///< Without brackets; empty for all addresses.
  std::string port;
};

Result<HostAndPort> split_address(const std::string& address) {
  const Error usage{"'" + address +
                    "' is not an address to listen on: give HOST:PORT, for instance 127.0.0.1:9749 "
                    "or [::1]:9749"};
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return usage;
  HostAndPort parts;
  parts.host = address.substr(0, colon);
  parts.port = address.substr(colon + 1);
  unsigned port = 0;
  const char* const end = parts.port.data() + parts.port.size();
  const auto [parsed, code] = std::from_chars(parts.port.data(), end, port);
  if (code != std::errc() || parsed != end || port > 65535) return usage;
  if (parts.host.starts_with('[') && parts.host.ends_with(']')) {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
    if (parts.host.empty()) return usage;
  } else if (parts.host.find(':') != std::string::npos) {
    return usage;  // An IPv6 address without brackets: where the port begins would be a guess.
  }
  return parts;
}

std::string describe(const sockaddr_storage& address, socklen_t length) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  const auto* any = reinterpret_cast<const sockaddr*>(&address);
  if (::getnameinfo(any, length, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "unknown";
  const std::string text = host.data();
  const bool bracketed = address.ss_family == AF_INET6;
  return (bracketed ? "[" + text + "]" : text) + ":" + port.data();
}

Error listen_error(int number, const std::string& address) {
  Error error = system_error(number, "listen on " + address);
  if (number == EADDRINUSE)
    error.detail += ": another program listens there: stop it, or give another --listen";
  if (number == EADDRNOTAVAIL)
    error.detail += ": this host has no such address: give another --listen";
  if (number == EACCES) error.detail += ": ports below 1024 need privileges: give another --listen";
  return error;
}

Result<TcpListenSocket> listen_on(const addrinfo& candidate, const std::string& address) {
  TcpListenSocket listener;
  listener.fd.reset(::socket(candidate.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.fd) return listen_error(errno, address);
  const int on = 1;
  const int off = 0;
  // So that a restart does not have to wait for connections of the last run to leave TIME_WAIT.
  if (::setsockopt(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
    return listen_error(errno, address);
  // "All addresses" means IPv4 too, whatever net.ipv6.bindv6only says.
  if (candidate.ai_family == AF_INET6 &&
      ::setsockopt(listener.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0)
    return listen_error(errno, address);
  if (::bind(listener.fd.get(), candidate.ai_addr, candidate.ai_addrlen) != 0 ||
      ::listen(listener.fd.get(), SOMAXCONN) != 0)
    return listen_error(errno, address);

  auto bound = bound_address(listener.fd.get());
  if (!bound) return wrap(bound.error(), "listen on " + address);
  listener.address = std::move(*bound);
  return listener;
}

/// Held while a socket file is looked at and replaced, so that two daemons that start together do
/// not both think that they have replaced a stale one. Best effort: who may read the directory
/// could hold the lock to keep us from starting, so after a second we go on without it.
UniqueFd lock_directory(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 &&
         std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return fd;
}

/// Removes a socket file that nobody listens on. An Error if it is anything else.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  const std::string who = "control socket " + path;
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return system_error(errno, who);
  }
  if (!S_ISSOCK(status.st_mode))
    return Error{
        who +
        ": there is a file that is not a socket: remove it, or give another --control-socket"};

  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return system_error(errno, who);
  const int failure =
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0
          ? 0
          : errno;
  // EAGAIN: somebody listens and is behind with accepting.
  if (failure == 0 || failure == EAGAIN)
    return Error{
        "another qemond is running on " + path + ": stop it, or give another --control-socket",
        std::make_error_code(std::errc::address_in_use)};
  if (failure != ECONNREFUSED && failure != ENOENT) return system_error(failure, who);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return wrap(system_error(errno, "remove the socket of an earlier run"), who);
  return {};
}

}  // namespace

Result<std::string> bound_address(int fd) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length) != 0)
    return system_error(errno, "getsockname");
  return {boost::system::in_place_value, describe(bound, length)};
}

Result<TcpListenSocket> open_tcp_listener(const std::string& address) {
  const Result<HostAndPort> parts = split_address(address);
  if (!parts) return parts.error();

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  // For all addresses "::" first: it takes IPv4 connections as well.
  hints.ai_family = AF_UNSPEC;
  const char* const host = parts->host.empty() ? "::" : parts->host.c_str();
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(host, parts->port.c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  if (failure != 0)
    return Error{"listen on " + address + ": " + ::gai_strerror(failure) +
                 ": give an address of this host"};

  Result<TcpListenSocket> listener = listen_on(*found, address);
  for (const addrinfo* next = found->ai_next; !listener && next != nullptr; next = next->ai_next) {
    Result<TcpListenSocket> other = listen_on(*next, address);
    if (other) return other;
  }
  // A kernel without IPv6 has no "::".
  if (!listener && parts->host.empty() &&
      listener.error().code == std::errc::address_family_not_supported)
    return open_tcp_listener("0.0.0.0:" + parts->port);
  return listener;
}

Result<UnixListenSocket> open_unix_listener(const std::string& path, unsigned mode) {
  const std::string who = "control socket " + path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Error{"control socket '" + path + "': the path must have 1 to " +
                 std::to_string(sizeof address.sun_path - 1) +
                 " bytes: give another --control-socket"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);

  const UniqueFd lock = lock_directory(path);
  if (const Result<void> free = remove_stale(path, address); !free) return free.error();
  UnixListenSocket listener;
  listener.path = path;
  listener.fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.fd) return system_error(errno, who);
  // On Linux bind() takes the file's permissions from the socket, less the umask: it is never more
  // open than asked for. What the umask took away is given back afterwards.
  if (::fchmod(listener.fd.get(), static_cast<mode_t>(mode)) != 0) return system_error(errno, who);
  if (::bind(listener.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    Error error = system_error(errno, who);
    if (error.code == std::errc::no_such_file_or_directory)
      error.detail += ": its directory must exist";
    if (error.code == std::errc::permission_denied)
      error.detail += ": its directory must be writable for qemond: give another --control-socket";
    return error;
  }
  struct stat status {};
  if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0 ||
      ::lstat(path.c_str(), &status) != 0 || ::listen(listener.fd.get(), SOMAXCONN) != 0) {
    Error error = system_error(errno, who);
    ::unlink(path.c_str());
    return error;
  }
  listener.device = status.st_dev;
  listener.inode = status.st_ino;
  return listener;
}

void remove_socket_file(const UnixListenSocket& socket) {
  struct stat status {};
  if (::lstat(socket.path.c_str(), &status) == 0 && status.st_dev == socket.device &&
      status.st_ino == socket.inode)
    ::unlink(socket.path.c_str());
}

}  // namespace qemon::daemon
