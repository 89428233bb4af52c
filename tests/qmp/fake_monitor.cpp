#include "tests/qmp/fake_monitor.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <stdexcept>

#include "tests/support/wait.hpp"

namespace qemon::qmp::test {

using nlohmann::json;

void Peer::write(std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd waiting{socket_.get(), POLLOUT, 0};
    const std::chrono::milliseconds deadline = qemon::test::default_deadline;
    if (::poll(&waiting, 1, static_cast<int>(deadline.count())) <= 0) {
      throw std::runtime_error("the client does not read");
    }
    const ssize_t size =
        ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) continue;
    if (size < 0) throw PeerGone();
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

json Peer::read() {
  while (true) {
    const auto end = buffer_.find('\n');
    if (end != buffer_.npos) {
      json command = json::parse(buffer_.substr(0, end));
      buffer_.erase(0, end + 1);
      return command;
    }
    if (!fill(qemon::test::default_deadline)) throw std::runtime_error("no command came");
  }
}

std::string Peer::read_until(char last) {
  while (true) {
    const auto end = buffer_.find(last);
    if (end != buffer_.npos) {
      std::string bytes = buffer_.substr(0, end + 1);
      buffer_.erase(0, end + 1);
      return bytes;
    }
    if (!fill(qemon::test::default_deadline)) throw std::runtime_error("nothing came");
  }
}

bool Peer::nothing_to_read(std::chrono::milliseconds quiet) {
  return buffer_.empty() && !fill(quiet);
}

void Peer::wait_for_client_to_leave() {
  while (fill(qemon::test::default_deadline)) buffer_.clear();
  throw std::runtime_error("the client did not leave");
}

void Peer::ignore_client_until_it_leaves() {
  pollfd waiting{socket_.get(), POLLRDHUP, 0};
  // Longer than the client may take for megabytes under a sanitizer; it is the client's deadlines
  // that count here.
  const std::chrono::milliseconds deadline = 3 * qemon::test::default_deadline;
  if (::poll(&waiting, 1, static_cast<int>(deadline.count())) <= 0) {
    throw std::runtime_error("the client did not leave");
  }
}

bool Peer::fill(std::chrono::milliseconds deadline) {
  pollfd waiting{socket_.get(), POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(deadline.count())) <= 0) return false;
  char bytes[65536];
  iovec piece{bytes, sizeof bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  if (size <= 0) throw PeerGone();
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
      header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    descriptor.reset(fd);
  }
  buffer_.append(bytes, static_cast<std::size_t>(size));
  return true;
}

void Peer::greet() {
  write(
      "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
      "\"package\": \"Debian\"}, \"capabilities\": [\"oob\"]}}\r\n");
}

void Peer::answer_capabilities() {
  const json command = read();
  if (command.at("execute") != "qmp_capabilities") throw std::runtime_error("not qmp_capabilities");
  reply(command, json::object());
}

void Peer::reply(const json& command, const json& value) {
  const json message = {{"return", value}, {"id", command.at("id")}};
  write(message.dump() + "\r\n");
}

void Peer::fail(const json& command, std::string_view error_class, std::string_view desc) {
  const json error = {{"class", error_class}, {"desc", desc}};
  const json message = {{"error", error}, {"id", command.at("id")}};
  write(message.dump() + "\r\n");
}

FakeMonitor::FakeMonitor(std::function<void(Peer&)> script) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::runtime_error("socketpair failed");
  }
  client_.reset(ends[0]);
  thread_ = std::thread([script = std::move(script), server = ends[1]] {
    Peer peer{UniqueFd(server)};
    try {
      script(peer);
    } catch (const Peer::PeerGone&) {
      // The test is over for the client.
    } catch (const std::exception& error) {
      ADD_FAILURE() << "fake monitor: " << error.what();
    }
  });
}

void FakeMonitor::join() {
  client_.reset();
  if (thread_.joinable()) thread_.join();
}

std::function<void(Peer&)> answering(Answers answers) {
  return [answers = std::move(answers)](Peer& peer) {
    peer.handshake();
    while (true) {
      const json command = peer.read();
      json answer;
      if (command.at("execute") == "human-monitor-command") {
        if (answers.human) answer = answers.human(command.at("arguments").at("command-line"));
      } else if (answers.command) {
        answer = answers.command(command);
      }
      if (answer.is_null()) {
        peer.fail(command, "CommandNotFound", "The command has not been found");
      } else if (answer.is_object() && answer.contains("error")) {
        peer.fail(command, "GenericError", answer["error"].get<std::string>());
      } else {
        peer.reply(command, answer);
      }
    }
  };
}

}  // namespace qemon::qmp::test
