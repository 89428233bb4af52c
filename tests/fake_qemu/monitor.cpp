#include "tests/fake_qemu/monitor.hpp"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

namespace qemon::fake {

namespace asio = boost::asio;
using nlohmann::json;
using Socket = asio::local::stream_protocol;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// As QEMU's character devices.
constexpr int backlog = 1;
// What a client may say while nobody listens; qemond has 8 commands on the wire.
constexpr std::size_t input_bytes_max = 1U << 20;
constexpr std::size_t long_line_bytes = (10U << 20) + 4096;
constexpr std::size_t chunk_bytes = 65536;

const std::string& flood_chunk() {
  static const std::string chunk = [] {
    std::string text;
    const std::string event =
        R"({"timestamp": {"seconds": 1795377070, "microseconds": 851320}, "event": "RTC_CHANGE", )"
        R"("data": {"offset": 78, "qom-path": "/machine/unattached/device[7]"}})"
        "\r\n";
    while (text.size() + event.size() <= chunk_bytes) text += event;
    return text;
  }();
  return chunk;
}

/// Distinct for each name, and the same each time.
std::string uuid_of(const std::string& name) {
  const std::uint64_t front = std::hash<std::string>()(name);
  const std::uint64_t back = std::hash<std::string>()(name + "'");
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-4%03x-8%03x-%012llx",
                static_cast<unsigned>(front >> 32U), static_cast<unsigned>(front >> 16U & 0xffffU),
                static_cast<unsigned>(front & 0xfffU), static_cast<unsigned>(back >> 52U),
                static_cast<unsigned long long>(back & 0xffff'ffff'ffffU));
  return text.data();
}

/// What counts and failures call it: a command of the human monitor goes by its line.
std::string key_of(const std::string& command, const json& arguments) {
  if (command != "human-monitor-command" || !arguments.is_object()) return command;
  const auto line = arguments.find("command-line");
  return line != arguments.end() && line->is_string() ? line->get<std::string>() : command;
}

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

Monitor::Monitor(const asio::any_io_executor& executor, const Recording& recording,
                 const std::string& directory, std::string name)
    : recording_(recording),
      name_(std::move(name)),
      path_(directory + "/" + name_ + ".qmp"),
      acceptor_(executor),
      socket_(executor),
      delay_(executor) {
  const std::string unfinished = directory + "/." + name_;
  ::unlink(unfinished.c_str());
  acceptor_.open();
  acceptor_.bind(Socket::endpoint(unfinished));
  acceptor_.listen(backlog);
  if (::rename(unfinished.c_str(), path_.c_str()) != 0)
    throw boost::system::system_error(errno, boost::system::system_category(), path_);
}

asio::awaitable<void> Monitor::run() {
  while (!stopping_) {
    auto [ec] = co_await acceptor_.async_accept(socket_, as_result);
    if (stopping_) break;
    if (!ec) co_await serve();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
}

void Monitor::stop() {
  stopping_ = true;
  ::unlink(path_.c_str());
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  socket_.close(ignored);
  delay_.cancel();
}

void Monitor::fail(Failure failure) {
  failure_ = std::move(failure);
  failing_ = false;
}

void Monitor::heal() {
  failure_.reset();
  failing_ = false;
  delay_.cancel();
  boost::system::error_code ignored;
  if (holding_) socket_.cancel(ignored);
}

json Monitor::counts() const {
  json all = json::array();
  for (const Count& each : counts_) {
    all.push_back({{"command", each.command},
                   {"count", each.count},
                   {"first", seconds(each.first.time_since_epoch())},
                   {"last", seconds(each.last.time_since_epoch())},
                   {"longest_gap", seconds(each.longest_gap)}});
  }
  return all;
}

void Monitor::reset_counts() {
  for (Count& each : counts_) {
    each.count = 0;
    each.longest_gap = {};
  }
}

/// One session, until either side ends it.
asio::awaitable<void> Monitor::serve() {
  input_.clear();
  failing_ = false;
  for (Count& each : counts_) each.in_session = 0;
  bool open = co_await greet();
  while (open && !stopping_) {
    if (const auto end = input_.find('\n'); end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      const auto next = co_await handle(std::move(line));
      open = next == Next::go_on;
      continue;
    }
    if (failing_ && failure_->kind == FailureKind::busy_flood) {
      open = co_await send(flood_chunk());
      boost::system::error_code ec;
      if (!open || (socket_.available(ec) == 0 && !ec)) continue;
    }
    open = co_await read_some();
  }
}

asio::awaitable<bool> Monitor::greet() {
  if (failure_ && failure_->kind == FailureKind::no_greeting) {
    failing_ = true;
    co_await hold();
    co_return false;
  }
  if (failure_ && failure_->kind == FailureKind::greeting_garbage) {
    failing_ = true;
    co_await send("220 mail.example.org ESMTP\r\n");
    co_await hold();
    co_return false;
  }
  co_return co_await send(*recording_.greeting());
}

asio::awaitable<Monitor::Next> Monitor::handle(std::string line) {
  json message = json::parse(line, nullptr, false);
  const bool sound = message.is_object() && message.contains("execute") &&
                     message.at("execute").is_string() && message.contains("id");
  if (!sound) {
    const bool sent = co_await send(
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n");
    co_return sent ? Next::go_on : Next::hang_up;
  }
  Request request;
  request.command = message.at("execute");
  request.id = message.at("id").dump();
  if (message.contains("arguments")) request.arguments = std::move(message.at("arguments"));
  count(key_of(request.command, request.arguments));
  if (failing_) {
    Failure failure = *failure_;
    co_return co_await fail_at(std::move(failure), std::move(request));
  }
  auto reply = reply_to(request);
  const bool sent = co_await send_reply(std::move(reply), std::move(request.id));
  co_return sent ? Next::go_on : Next::hang_up;
}

/// Counts a command, and begins to fail if this is the one.
void Monitor::count(const std::string& command) {
  const auto now = Clock::now();
  auto found = std::find_if(counts_.begin(), counts_.end(),
                            [&](const Count& each) { return each.command == command; });
  if (found == counts_.end()) {
    found = counts_.emplace(counts_.end());
    found->command = command;
  }
  if (found->count++ == 0)
    found->first = now;
  else
    found->longest_gap = std::max(found->longest_gap, now - found->last);
  found->last = now;
  ++found->in_session;
  if (failure_ && failure_->command == command && found->in_session >= failure_->occurrence)
    failing_ = true;
}

asio::awaitable<Monitor::Next> Monitor::fail_at(Failure failure, Request request) {
  auto reply = reply_to(request);
  bool spoilt = false;
  switch (failure.kind) {
    case FailureKind::close:
      co_return Next::hang_up;
    case FailureKind::garbage:
      spoilt = co_await send("Segmentation fault (core dumped)\r\n");
      break;
    case FailureKind::half:
      spoilt = co_await send(reply->substr(0, reply->size() / 2));
      break;
    case FailureKind::long_line:
      co_await send_long_line();
      spoilt = true;
      break;
    case FailureKind::error_without_id:
      spoilt = co_await send(
          "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n");
      break;
    case FailureKind::wrong_id:
      request.id = "\"" + name_ + "-of-somebody-else\"";
      break;
    case FailureKind::slow:
      delay_.expires_after(failure.delay);
      co_await delay_.async_wait(as_result);
      break;
    case FailureKind::hang:
      co_await hold();
      break;
    case FailureKind::flood: {
      const bool open = co_await flood();
      if (!open) co_return Next::hang_up;
      break;
    }
    case FailureKind::busy_flood:
    case FailureKind::no_greeting:
    case FailureKind::greeting_garbage:
      break;
  }
  if (spoilt) {
    co_await hold();
    co_return Next::hang_up;
  }
  const bool sent = co_await send_reply(std::move(reply), std::move(request.id));
  co_return sent ? Next::go_on : Next::hang_up;
}

/// Says nothing until it is healed or the client has gone. Reads meanwhile, to see the latter.
asio::awaitable<void> Monitor::hold() {
  holding_ = true;
  bool open = true;
  while (open && failing_ && !stopping_) open = co_await read_some();
  holding_ = false;
}

/// False when the client has gone. A write after one that failed would never end: Asio 1.81 takes
/// the failure for a full socket and waits for room.
asio::awaitable<bool> Monitor::flood() {
  bool open = true;
  while (open && failing_ && !stopping_) open = co_await send(flood_chunk());
  co_return open;
}

asio::awaitable<void> Monitor::send_long_line() {
  bool open = co_await send("{\"return\": \"");
  const std::string filling(chunk_bytes, 'x');
  for (std::size_t sent = 0; open && sent < long_line_bytes; sent += filling.size())
    open = co_await send(filling);
  if (open) co_await send("\"}\r\n");
}

asio::awaitable<bool> Monitor::send(std::string text) {
  auto [ec, size] = co_await asio::async_write(socket_, asio::buffer(text), as_result);
  co_return !ec;
}

asio::awaitable<bool> Monitor::send_reply(SharedText reply, std::string id) {
  const std::string end = ", \"id\": " + id + "}\r\n";
  const std::array<asio::const_buffer, 2> both{asio::buffer(*reply), asio::buffer(end)};
  auto [ec, size] = co_await asio::async_write(socket_, both, as_result);
  co_return !ec;
}

/// False when the client has gone, or says more than anybody may.
asio::awaitable<bool> Monitor::read_some() {
  auto [ec, size] = co_await socket_.async_read_some(asio::buffer(piece_), as_result);
  // A healed monitor stops waiting for the client to go; see heal().
  if (ec == asio::error::operation_aborted && socket_.is_open()) co_return true;
  if (ec) co_return false;
  input_.append(piece_.data(), size);
  co_return input_.size() <= input_bytes_max;
}

SharedText Monitor::reply_to(const Request& request) {
  const auto& arguments = request.arguments;
  if (request.command == "qmp_capabilities") return returning(json::object());
  if (request.command == "query-name") return returning({{"name", name_}});
  if (request.command == "query-uuid") return returning({{"UUID", uuid_of(name_)}});
  if (request.command == "query-blockstats") {
    const auto age = Clock::now() - born_;
    return recording_.block_statistics(std::chrono::duration_cast<std::chrono::milliseconds>(age));
  }
  if (request.command == "human-monitor-command")
    return human_reply(key_of(request.command, arguments));
  if (request.command == "trace-event-set-state") return set_event_state(arguments);
  if (request.command == "trace-event-get-state") {
    const std::string pattern = arguments.value("name", "");
    if (pattern == "*") return recording_.event_states(events_on_);
    auto state = recording_.event_state(pattern, events_on_);
    return state ? state : failing("GenericError", "unknown event \"" + pattern + "\"");
  }
  auto recorded = recording_.reply(request.command, arguments);
  if (recorded) return recorded;
  return failing("CommandNotFound", "The command " + request.command + " has not been found");
}

SharedText Monitor::human_reply(const std::string& line) const {
  if (line == "info trace-events") return recording_.event_lines(events_on_);
  if (line.starts_with("logfile ")) return returning("");
  const json arguments{{"command-line", line}};
  auto recorded = recording_.reply("human-monitor-command", arguments);
  return recorded ? recorded : returning("unknown command: '" + line + "'\r\n");
}

SharedText Monitor::set_event_state(const json& arguments) {
  const std::string pattern = arguments.value("name", "");
  const auto events = recording_.matching(pattern);
  if (events.empty() && pattern.find('*') == std::string::npos)
    return failing("GenericError", "unknown event \"" + pattern + "\"");
  for (const auto event : events) {
    if (arguments.value("enable", false))
      events_on_.insert(event);
    else
      events_on_.erase(event);
  }
  return returning(json::object());
}

}  // namespace qemon::fake
