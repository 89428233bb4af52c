#include "qmp/endpoint.hpp"

#include <sys/un.h>

#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "base/utf8.hpp"
#include "qmp/error.hpp"

namespace qemon::qmp {

namespace {

Error bad(std::string_view text, std::string_view why) {
  return make_error(errc::invalid_argument,
                    "monitor address \"" + one_line(text) + "\": " + std::string(why));
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// The kernel keeps the path of a Unix socket in 108 bytes, one of which is the final NUL.
constexpr std::size_t socket_path_bytes_max = sizeof(sockaddr_un::sun_path) - 1;

Result<Endpoint> parse_unix(std::string_view whole, std::string_view path, Endpoint endpoint) {
  if (path.empty()) return bad(whole, "the path is missing; write unix:PATH");
  if (path.find('\0') != path.npos) return bad(whole, "a path cannot contain a NUL character");
  if (path.size() > socket_path_bytes_max) {
    return bad(whole, "the path has " + std::to_string(path.size()) +
                          " bytes and a Unix socket's path at most " +
                          std::to_string(socket_path_bytes_max) +
                          "; use a shorter directory or a symbolic link");
  }
  endpoint.transport = Transport::unix_socket;
  endpoint.path = path;
  return endpoint;
}

Result<Endpoint> parse_tcp(std::string_view whole, std::string_view address, Endpoint endpoint) {
  std::string_view host;
  std::string_view port;
  if (address.starts_with('[')) {
    const auto bracket = address.find(']');
    if (bracket == address.npos) return bad(whole, "the bracket is not closed; write [ADDRESS]");
    host = address.substr(1, bracket - 1);
    port = address.substr(bracket + 1);
    boost::system::error_code ec;
    boost::asio::ip::make_address_v6(std::string(host), ec);
    if (ec) return bad(whole, "what is in brackets is not an IPv6 address");
  } else {
    const auto colon = address.find(':');
    host = address.substr(0, colon);
    port = colon == address.npos ? std::string_view() : address.substr(colon);
    if (address.find(':', colon == address.npos ? colon : colon + 1) != address.npos) {
      return bad(whole, "too many colons; write an IPv6 address in brackets, as tcp:[::1]:4444");
    }
  }
  if (host.empty()) return bad(whole, "the host is missing; write tcp:HOST:PORT");
  for (const char c : host) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      return bad(whole, "a host name cannot contain blanks or control characters");
    }
  }
  if (!take_prefix(port, ":") || port.empty()) {
    return bad(whole, "the port is missing; write tcp:HOST:PORT");
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (error != std::errc() || end != port.data() + port.size() || endpoint.port == 0) {
    return bad(whole, "the port is not a number from 1 to 65535");
  }
  endpoint.transport = Transport::tcp;
  endpoint.host = host;
  return endpoint;
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  Endpoint endpoint;
  std::string_view rest = text;
  if (take_prefix(rest, "hmp:")) endpoint.protocol = Protocol::hmp;
  if (take_prefix(rest, "unix:")) return parse_unix(text, rest, endpoint);
  if (take_prefix(rest, "tcp:")) return parse_tcp(text, rest, endpoint);
  return bad(text, how_to_write_endpoints);
}

std::string to_string(const Endpoint& endpoint) {
  std::string text = endpoint.protocol == Protocol::hmp ? "hmp:" : "";
  if (endpoint.transport == Transport::unix_socket) return text + "unix:" + endpoint.path;
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  text += v6 ? "tcp:[" + endpoint.host + "]" : "tcp:" + endpoint.host;
  return text + ":" + std::to_string(endpoint.port);
}

bool is_on_this_host(const Endpoint& endpoint) {
  if (endpoint.transport == Transport::unix_socket || endpoint.host == "localhost") return true;
  boost::system::error_code ec;
  const auto address = boost::asio::ip::make_address(endpoint.host, ec);
  return !ec && address.is_loopback();
}

}  // namespace qemon::qmp
