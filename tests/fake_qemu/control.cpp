#include "tests/fake_qemu/control.hpp"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

namespace qemon::fake {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t line_bytes_max = 4096;

std::string_view take_word(std::string_view& text) {
  const auto end = std::min(text.find(' '), text.size());
  const auto word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

json error(std::string text) {
  return {{"error", std::move(text)}};
}

}  // namespace

Control::Control(asio::any_io_executor executor, const Recording& recording, std::string directory)
    : executor_(std::move(executor)), recording_(recording), directory_(std::move(directory)) {}

asio::awaitable<void> Control::run() {
  asio::posix::stream_descriptor in(executor_, ::dup(STDIN_FILENO));
  asio::posix::stream_descriptor out(executor_, ::dup(STDOUT_FILENO));
  std::string input;
  for (;;) {
    auto buffer = asio::dynamic_buffer(input, line_bytes_max);
    auto [ec, size] = co_await asio::async_read_until(in, buffer, '\n', as_result);
    if (ec) break;
    const std::string line = input.substr(0, size - 1);
    input.erase(0, size);
    if (line == "quit") break;
    const std::string answer = obey(line).dump() + "\n";
    auto [failed, sent] = co_await asio::async_write(out, asio::buffer(answer), as_result);
    if (failed) break;
  }
  for (const auto& [name, monitor] : monitors_) monitor->stop();
  monitors_.clear();
}

json Control::obey(std::string_view line) {
  const auto command = take_word(line);
  if (command == "reset") {
    for (const auto& [name, monitor] : monitors_) monitor->reset_counts();
    return json::object();
  }
  const std::string name(take_word(line));
  if (command == "counts") return counts(name);
  if (command == "add") return add(name, line);
  const auto found = monitors_.find(name);
  if (found == monitors_.end()) return error("there is no VM " + name);
  if (command == "remove") {
    found->second->stop();
    monitors_.erase(found);
  } else if (command == "fail") {
    auto failure = parse_failure(line);
    if (!failure) return error("no failure: " + std::string(line));
    found->second->fail(std::move(*failure));
  } else if (command == "heal") {
    found->second->heal();
  } else {
    return error("no command: " + std::string(command));
  }
  return json::object();
}

json Control::add(const std::string& name, std::string_view failure) {
  if (name.empty() || monitors_.contains(name)) return error("a VM needs a name of its own");
  auto parsed = parse_failure(failure);
  if (!failure.empty() && !parsed) return error("no failure: " + std::string(failure));
  std::shared_ptr<Monitor> monitor;
  try {
    monitor = std::make_shared<Monitor>(executor_, recording_, directory_, name);
  } catch (const boost::system::system_error& problem) {
    return error(problem.what());
  }
  if (parsed) monitor->fail(std::move(*parsed));
  monitors_.emplace(name, monitor);
  auto task = monitor->run();
  asio::co_spawn(executor_, std::move(task), [monitor](std::exception_ptr problem) {
    if (problem) std::rethrow_exception(problem);
  });
  return json::object();
}

json Control::counts(std::string_view name) const {
  json all = json::object();
  for (const auto& [each, monitor] : monitors_)
    if (name.empty() || name == each) all[each] = monitor->counts();
  return all;
}

}  // namespace qemon::fake
