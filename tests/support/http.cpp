#include "tests/support/http.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "base/unique_fd.hpp"
#include "tests/support/monitor.hpp"
#include "tests/support/reserved_port.hpp"
#include "tests/support/wait.hpp"

namespace qemon::test {
namespace {

UniqueFd connect_tcp(const std::string& address) {
  const auto colon = address.rfind(':');
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<std::uint16_t>(std::stoul(address.substr(colon + 1))));
  if (::inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr) != 1) {
    throw std::runtime_error(address + " is no numeric address");
  }
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)) != 0) {
    return UniqueFd();
  }
  return socket;
}

std::string read_to_end(const UniqueFd& socket, const std::string& address) {
  const auto end = std::chrono::steady_clock::now() + default_deadline;
  std::string received;
  std::array<char, 65536> piece{};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd readable{socket.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&readable, 1, static_cast<int>(left.count())) == 0) {
      throw std::runtime_error(address + " did not answer before the deadline");
    }
    const ssize_t count = ::recv(socket.get(), piece.data(), piece.size(), 0);
    if (count < 0) throw std::runtime_error(address + " broke the connection off");
    if (count == 0) return received;
    received.append(piece.data(), static_cast<std::size_t>(count));
  }
}

HttpResponse parse_response(const std::string& received, const std::string& address) {
  namespace http = boost::beast::http;
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.body_limit(boost::none);
  boost::beast::error_code ec;
  parser.put(boost::asio::buffer(received), ec);
  if (!ec && !parser.is_done()) parser.put_eof(ec);
  if (ec)
    throw std::runtime_error(address + " answered no HTTP: " + ec.message() + ": " + received);
  const auto& message = parser.get();
  return HttpResponse{static_cast<int>(message.result_int()),
                      std::string(message[http::field::content_type]), message.body()};
}

/// Labels in alphabetical order; the values are kept as they are written, escapes included.
std::string normalise(std::string_view name, std::string_view labels) {
  std::map<std::string, std::string> sorted;
  std::size_t at = 0;
  while (at < labels.size()) {
    const auto equals = labels.find("=\"", at);
    if (equals == std::string_view::npos) {
      throw std::runtime_error("bad labels: " + std::string(labels));
    }
    std::size_t close = equals + 2;
    while (close < labels.size() && labels[close] != '"') close += labels[close] == '\\' ? 2 : 1;
    sorted.emplace(labels.substr(at, equals - at), labels.substr(equals + 2, close - equals - 2));
    at = close + 1;
    if (at < labels.size() && labels[at] == ',') ++at;
  }
  std::string result(name);
  if (sorted.empty()) return result;
  char separator = '{';
  for (const auto& [label, value] : sorted) {
    result += separator + label + "=\"" + value + '"';
    separator = ',';
  }
  return result + '}';
}

}  // namespace

HttpResponse http_request(const std::string& address, std::string_view method,
                          std::string_view target, std::string_view body) {
  const bool is_path = address.find('/') != std::string::npos;
  const UniqueFd socket = is_path ? connect_unix(address) : connect_tcp(address);
  if (!socket) throw std::runtime_error("nobody listens at " + address);
  std::ostringstream request;
  request << method << ' ' << target << " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
  if (!body.empty()) {
    request << "Content-Type: application/json\r\nContent-Length: " << body.size() << "\r\n";
  }
  request << "\r\n" << body;
  const std::string bytes = request.str();
  if (::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error(address + " took no request");
  }
  return parse_response(read_to_end(socket, address), address);
}

std::uint16_t free_port() {
  return ReservedPort().number();
}

std::string series(std::string_view name, Labels labels) {
  std::string written;
  for (const auto& [label, value] : labels) {
    written += std::string(label) + "=\"" + std::string(value) + "\",";
  }
  return normalise(name, written);
}

Metrics::Metrics(std::string text) : text_(std::move(text)) {
  std::istringstream lines(text_);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') continue;
    const auto name_end = line.find_first_of("{ ");
    const auto value_start = line.rfind(' ');
    if (name_end == std::string::npos) throw std::runtime_error("no sample: " + line);
    const std::string_view view(line);
    std::string_view labels;
    if (line[name_end] == '{') {
      labels = view.substr(name_end + 1, line.rfind('}') - name_end - 1);
    }
    char* end = nullptr;
    const double value = std::strtod(line.c_str() + value_start, &end);
    if (*end != '\0') throw std::runtime_error("no value: " + line);
    const auto [place, fresh] =
        samples_.emplace(normalise(view.substr(0, name_end), labels), value);
    if (!fresh) throw std::runtime_error("twice: " + place->first);
  }
}

std::optional<double> Metrics::get(const std::string& name) const {
  const auto found = samples_.find(name);
  if (found == samples_.end()) return std::nullopt;
  return found->second;
}

std::size_t Metrics::count(std::string_view name) const {
  std::size_t result = 0;
  for (const auto& [key, value] : samples_) {
    if (std::string_view(key).substr(0, key.find('{')) == name) ++result;
  }
  return result;
}

}  // namespace qemon::test
