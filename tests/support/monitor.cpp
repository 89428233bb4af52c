#include "tests/support/monitor.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <stdexcept>

namespace qemon::test {

UniqueFd connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) throw std::runtime_error(path + " is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(socket.get(), generic, sizeof(address)) != 0) return UniqueFd();
  return socket;
}

Monitor::Monitor(const std::string& path, std::chrono::milliseconds deadline)
    : deadline_(deadline) {
  const auto connected = [this, &path] {
    socket_ = connect_unix(path);
    return static_cast<bool>(socket_);
  };
  if (!wait_until(connected, deadline)) throw std::runtime_error("nobody listens at " + path);
  if (!nlohmann::json::parse(read_line()).contains("QMP")) {
    throw std::runtime_error("no greeting from " + path);
  }
  execute("qmp_capabilities");
}

nlohmann::json Monitor::execute(std::string_view command, const nlohmann::json& arguments) {
  const std::string request =
      nlohmann::json{{"execute", command}, {"arguments", arguments}}.dump() + "\n";
  if (::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    throw std::runtime_error("the monitor took no " + std::string(command));
  }
  for (;;) {
    if (auto answer = parse_answer(read_line(), command)) return *std::move(answer);
  }
}

std::string Monitor::human(std::string_view command_line) {
  return execute("human-monitor-command", {{"command-line", command_line}}).get<std::string>();
}

std::string Monitor::event_state(std::string_view event) {
  const auto states = execute("trace-event-get-state", {{"name", event}});
  return states.at(0).at("state").get<std::string>();
}

void Monitor::set_event(std::string_view event, bool enabled) {
  execute("trace-event-set-state", {{"name", event}, {"enable", enabled}});
}

std::string Monitor::read_line() {
  const auto end = std::chrono::steady_clock::now() + deadline_;
  for (;;) {
    if (const auto newline = received_.find('\n'); newline != std::string::npos) {
      std::string line = received_.substr(0, newline);
      received_.erase(0, newline + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd readable{socket_.get(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&readable, 1, static_cast<int>(left.count())) == 0) {
      throw std::runtime_error("the monitor did not answer before the deadline");
    }
    std::array<char, 65536> piece{};
    const ssize_t count = ::recv(socket_.get(), piece.data(), piece.size(), 0);
    if (count <= 0) throw std::runtime_error("the monitor closed the connection");
    received_.append(piece.data(), static_cast<std::size_t>(count));
  }
}

std::optional<nlohmann::json> Monitor::parse_answer(const std::string& line,
                                                    std::string_view command) {
  const auto message = nlohmann::json::parse(line);
  if (message.contains("event")) return std::nullopt;
  if (message.contains("error")) {
    throw std::runtime_error(std::string(command) + ": " + message["error"].value("desc", line));
  }
  return message.at("return");
}

}  // namespace qemon::test
