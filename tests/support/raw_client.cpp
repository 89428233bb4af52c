#include "tests/support/raw_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <stdexcept>

#include "tests/support/wait.hpp"

namespace qemon::test {

RawClient::RawClient(const std::string& address) {
  if (address.starts_with('/')) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (address.size() >= sizeof to.sun_path) throw std::runtime_error(address + " is too long");
    std::memcpy(to.sun_path, address.c_str(), address.size() + 1);
    connect(AF_UNIX, &to, sizeof to);
  } else {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(AF_INET, &to, sizeof to);
  }
}

void RawClient::connect(int family, const void* address, socklen_t length) {
  fd_.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval deadline{default_deadline.count(), 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  if (::connect(fd_.get(), static_cast<const sockaddr*>(address), length) != 0)
    throw std::runtime_error(std::string("cannot connect: ") + std::strerror(errno));
}

void RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string RawClient::receive_some(std::size_t bytes_max) {
  std::string piece(bytes_max, '\0');
  const ssize_t count = ::recv(fd_.get(), piece.data(), piece.size(), 0);
  piece.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return piece;
}

std::string RawClient::receive_until(std::string_view text) {
  std::string all;
  while (all.find(text) == std::string::npos) {
    const std::string piece = receive_some();
    if (piece.empty()) break;
    all += piece;
  }
  return all;
}

std::string RawClient::receive_all() {
  std::string all;
  for (std::string piece = receive_some(); !piece.empty(); piece = receive_some()) all += piece;
  return all;
}

void RawClient::set_receive_buffer(int bytes) {
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void RawClient::finish_sending() {
  ::shutdown(fd_.get(), SHUT_WR);
}

void RawClient::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd_.reset();
}

}  // namespace qemon::test
