#include "tests/support/guest.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace qemon::test {
namespace {

/// Longer than any other deadline: each request is a handful of turns between QEMU's threads, and
/// each turn may wait for a busy processor.
constexpr std::chrono::milliseconds answer_deadline{240'000};

void wait_readable(const UniqueFd& fd, const char* what) {
  pollfd readable{fd.get(), POLLIN, 0};
  if (::poll(&readable, 1, static_cast<int>(answer_deadline.count())) != 1) {
    throw std::runtime_error(std::string("the guest did not ") + what + " before the deadline");
  }
}

}  // namespace

Guest::Guest(std::string path) : path_(std::move(path)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof(address.sun_path)) throw std::runtime_error(path_ + " is too long");
  std::memcpy(address.sun_path, path_.c_str(), path_.size());
  ::unlink(path_.c_str());
  listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_.get(), 1) != 0) {
    throw std::system_error(errno, std::generic_category(), "listen at " + path_);
  }
}

Guest::~Guest() {
  ::unlink(path_.c_str());
}

bool Guest::connected() const {
  pollfd readable{listener_.get(), POLLIN, 0};
  return connection_ || ::poll(&readable, 1, 0) == 1;
}

void Guest::wait_ready() {
  wait_readable(listener_, "connect");
  connection_.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  expect('>');
}

void Guest::stop() {
  send("P");
  expect('.');
}

void Guest::work(char letter, unsigned count) {
  const std::array<char, 3> command{letter, static_cast<char>(count & 0xff),
                                    static_cast<char>(count >> 8 & 0xff)};
  send(std::string_view(command.data(), command.size()));
  expect('.');
}

void Guest::send(std::string_view bytes) {
  if (::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error("the guest takes no commands");
  }
}

void Guest::expect(char answer) {
  wait_readable(connection_, "answer");
  char received = 0;
  if (::recv(connection_.get(), &received, 1, 0) != 1) {
    throw std::runtime_error("the guest is gone");
  }
  if (received != answer) {
    throw std::runtime_error(std::string("the guest answered ") + received + " and not " + answer);
  }
}

}  // namespace qemon::test
