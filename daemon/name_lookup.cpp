#include "daemon/name_lookup.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "base/unique_fd.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr std::size_t addresses_max = 16;

/// What the thread says, and then it closes its end. It shares nothing else with us.
struct Answer {
  int failure = 0;  ///< As getaddrinfo() has it.
  std::size_t count = 0;
  std::array<std::array<unsigned char, 16>, addresses_max> addresses{};
  std::array<unsigned, addresses_max> scopes{};
  std::array<bool, addresses_max> is_v6{};
};

void look_up(const std::string& host, const UniqueFd& end) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  Answer answer;
  answer.failure = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  for (const auto* each = found; each != nullptr && answer.count < addresses_max;
       each = each->ai_next) {
    auto& into = answer.addresses[answer.count];
    if (each->ai_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(each->ai_addr);
      std::memcpy(into.data(), &address->sin6_addr, sizeof address->sin6_addr);
      answer.scopes[answer.count] = address->sin6_scope_id;
    } else if (each->ai_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(each->ai_addr);
      std::memcpy(into.data(), &address->sin_addr, sizeof address->sin_addr);
    } else {
      continue;
    }
    answer.is_v6[answer.count++] = each->ai_family == AF_INET6;
  }
  if (found != nullptr) ::freeaddrinfo(found);
  // Small enough for the buffer of a socket. If nobody listens any more, nobody wants it.
  [[maybe_unused]] const auto sent = ::send(end.get(), &answer, sizeof answer, MSG_NOSIGNAL);
}

std::vector<tcp::endpoint> endpoints_in(const Answer& answer, std::uint16_t port) {
  std::vector<tcp::endpoint> endpoints;
  for (std::size_t i = 0; i < answer.count; ++i) {
    if (answer.is_v6[i]) {
      endpoints.emplace_back(asio::ip::address_v6(answer.addresses[i], answer.scopes[i]), port);
    } else {
      asio::ip::address_v4::bytes_type bytes{};
      std::memcpy(bytes.data(), answer.addresses[i].data(), bytes.size());
      endpoints.emplace_back(asio::ip::address_v4(bytes), port);
    }
  }
  return endpoints;
}

}  // namespace

asio::awaitable<Result<std::vector<tcp::endpoint>>> NameLookup::run(
    std::string host, std::uint16_t port, std::chrono::milliseconds deadline) {
  boost::system::error_code not_numeric;
  const auto numeric = asio::ip::make_address(host, not_numeric);
  if (!not_numeric) co_return std::vector<tcp::endpoint>(1, tcp::endpoint(numeric, port));
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    co_return system_error(errno, "no socket for the lookup of " + host);
  answer_.socket().assign(asio::local::stream_protocol(), ends[0]);
  UniqueFd end(ends[1]);
  try {
    std::thread(look_up, host, std::move(end)).detach();
  } catch (const std::system_error& failure) {
    co_return Error{"no thread for the lookup of " + host + ": " + failure.code().message()};
  }
  Answer answer;
  std::size_t size = 0;
  answer_.expires_after(deadline);
  while (size < sizeof answer) {
    const auto room = asio::buffer(&answer, sizeof answer) + size;
    const auto [ec, count] =
        co_await answer_.async_read_some(room, asio::as_tuple(asio::use_awaitable));
    if (ec)
      co_return Error{"the host " + host + " was not looked up within " +
                      std::to_string(deadline.count()) + " ms"};
    size += count;
  }
  if (answer.failure != 0)
    co_return Error{"the host " + host + " is not known: " + ::gai_strerror(answer.failure)};
  if (answer.count == 0) co_return Error{"the host " + host + " has no address"};
  co_return endpoints_in(answer, port);
}

}  // namespace qemon::daemon
