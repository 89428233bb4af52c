#include "tests/cli/fake_daemon.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <tuple>

#include "base/unique_fd.hpp"
#include "cli/app.hpp"

namespace qemon::test {

namespace http = boost::beast::http;
using Local = boost::asio::local::stream_protocol;

namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

FakeDaemon::FakeDaemon() : path_(dir_ / "control.sock") {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = address_of(path_);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 16) != 0)
    throw std::runtime_error("listen on " + path_);
  thread_ = std::thread([this, listener] { serve(listener); });
}

FakeDaemon::~FakeDaemon() {
  stopping_ = true;
  // Wakes accept().
  const UniqueFd last(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(path_);
  std::ignore = ::connect(last.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  thread_.join();
}

void FakeDaemon::answer(const std::string& request, unsigned status, const std::string& body) {
  const std::scoped_lock lock(mutex_);
  answers_[request] = {status, body};
}

void FakeDaemon::answer_raw(const std::string& bytes) {
  const std::scoped_lock lock(mutex_);
  raw_ = bytes;
}

std::vector<std::string> FakeDaemon::requests() const {
  const std::scoped_lock lock(mutex_);
  return requests_;
}

void FakeDaemon::serve(int listener) {
  const UniqueFd owner(listener);
  while (!stopping_) {
    const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) break;
    if (stopping_) {
      ::close(connection);
    } else {
      serve_one(connection);
    }
  }
}

void FakeDaemon::serve_one(int connection) {
  boost::asio::io_context context;
  Local::socket socket(context, Local(), connection);
  boost::beast::flat_buffer buffer;
  boost::system::error_code error;
  http::request<http::string_body> request;
  http::read(socket, buffer, request, error);
  if (error) return;

  const std::scoped_lock lock(mutex_);
  const std::string asked =
      std::string(request.method_string()) + " " + std::string(request.target());
  requests_.push_back(asked + (request.body().empty() ? "" : " " + request.body()));
  if (!raw_.empty()) {
    boost::asio::write(socket, boost::asio::buffer(raw_), error);
    return;
  }
  http::response<http::string_body> response;
  response.version(11);
  if (const auto known = answers_.find(asked); known != answers_.end()) {
    response.result(known->second.first);
    response.body() = known->second.second;
  } else {
    response.result(404U);
    response.body() = R"({"error":"no such thing: )" + asked + R"("})";
  }
  response.prepare_payload();
  http::write(socket, response, error);
}

Outcome run_qemon(std::vector<std::string> arguments, const std::string& socket) {
  if (!socket.empty()) arguments.insert(arguments.begin(), {"--socket", socket});
  std::vector<const char*> argv{"qemon"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  cli::Environment environment;
  environment.variable = [](const std::string&) { return std::nullopt; };
  environment.exists = [](const std::string&) { return false; };
  environment.uid = 1000;
  std::ostringstream out;
  std::ostringstream err;
  Outcome outcome;
  outcome.status = cli::run(static_cast<int>(argv.size()), argv.data(), environment, out, err);
  outcome.out = out.str();
  outcome.err = err.str();
  return outcome;
}

void expect(const Outcome& outcome, int status, const std::string& out, const std::string& err) {
  EXPECT_EQ(outcome.status, status);
  EXPECT_EQ(outcome.out, out);
  EXPECT_EQ(outcome.err, err);
}

}  // namespace qemon::test
