#include "tests/support/fake_qemu.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <system_error>

#include "tests/support/wait.hpp"

namespace qemon::test {
namespace {

const char* file_of(Recording recording) {
  switch (recording) {
    case Recording::kvm:
      return QEMON_TEST_DATA "/qmp-7.2-kvm.jsonl.gz";
    case Recording::tcg:
      return QEMON_TEST_DATA "/qmp-7.2-tcg.jsonl.gz";
  }
  return "";
}

}  // namespace

FakeQemu::FakeQemu(std::string directory, Recording recording) : directory_(std::move(directory)) {
  std::filesystem::create_directories(directory_);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  conversation_.reset(ends[0]);
  const UniqueFd theirs(ends[1]);
  ProcessOptions options;
  options.command = {QEMON_TEST_BIN_DIR "/fake-qemu", directory_, file_of(recording)};
  options.conversation = theirs.get();
  // A regular file would be taken for its log.
  options.err_pipe = true;
  process_ = std::make_unique<Process>(std::move(options));
}

FakeQemu::~FakeQemu() {
  // Before it ends: while a program looks for leaks at its end, a signal can hold it up for ever.
  process_->signal(SIGCONT);
  conversation_.reset();
  EXPECT_EQ(process_->wait(), ExitStatus{}) << process_->errors_from_pipe();
}

void FakeQemu::add(const std::string& name, const std::string& failure) {
  tell("add " + name + " " + failure);
}

void FakeQemu::remove(const std::string& name) {
  tell("remove " + name);
}

void FakeQemu::fail(const std::string& name, const std::string& failure) {
  tell("fail " + name + " " + failure);
}

void FakeQemu::heal(const std::string& name) {
  tell("heal " + name);
}

nlohmann::json FakeQemu::counts() {
  return tell("counts");
}

void FakeQemu::reset_counts() {
  tell("reset");
}

std::string FakeQemu::socket(std::string_view name) const {
  return directory_ + "/" + std::string(name) + ".qmp";
}

nlohmann::json FakeQemu::tell(const std::string& line) {
  const std::string request = line + "\n";
  if (::send(conversation_.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    throw std::runtime_error("fake-qemu has ended: " + process_->errors_from_pipe());
  std::array<char, 65536> piece{};
  while (received_.find('\n') == std::string::npos) {
    pollfd readable{conversation_.get(), POLLIN, 0};
    constexpr auto deadline = std::chrono::milliseconds(default_deadline).count();
    if (::poll(&readable, 1, static_cast<int>(deadline)) == 0)
      throw std::runtime_error("fake-qemu does not answer: " + line);
    const ssize_t count = ::recv(conversation_.get(), piece.data(), piece.size(), 0);
    if (count <= 0)
      throw std::runtime_error("fake-qemu has ended: " + process_->errors_from_pipe());
    received_.append(piece.data(), static_cast<std::size_t>(count));
  }
  const auto end = received_.find('\n');
  auto answer = nlohmann::json::parse(received_.substr(0, end));
  received_.erase(0, end + 1);
  if (answer.contains("error"))
    throw std::runtime_error(line + ": " + answer.at("error").get<std::string>());
  return answer;
}

FakeFleet::FakeFleet(const std::string& directory, std::size_t processes) {
  for (std::size_t i = 0; i < processes; ++i)
    members_.push_back(std::make_unique<FakeQemu>(directory));
}

nlohmann::json FakeFleet::counts() {
  auto all = nlohmann::json::object();
  for (const auto& member : members_) all.update(member->counts());
  return all;
}

void FakeFleet::reset_counts() {
  for (const auto& member : members_) member->reset_counts();
}

FakeQemu& FakeFleet::of(const std::string& name) {
  return *members_[std::hash<std::string>()(name) % members_.size()];
}

}  // namespace qemon::test
