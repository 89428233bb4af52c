#include "tests/fuzz/monitor_peer.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "daemon/collector.hpp"
#include "exporters/metrics_text.hpp"
#include "qmp/identity.hpp"
#include "qmp/trace_commands.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace qemon::fuzz {
namespace {

namespace asio = boost::asio;
using daemon::Collector;
using daemon::CollectorView;
using Socket = qmp::Client::Socket;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

void rethrow(std::exception_ptr failure) {
  if (failure) std::rethrow_exception(failure);
}

asio::awaitable<void> serve(Socket& socket, const PeerScript& script) {
  std::string out = script.greeting;
  std::string received;
  std::array<char, 4096> piece{};
  for (bool over = false;;) {
    const auto bytes = asio::buffer(out);
    const auto [unwritten, written] = co_await asio::async_write(socket, bytes, as_result);
    if (unwritten || over) break;
    out.clear();
    while (out.empty() && !over) {
      const auto room = asio::buffer(piece);
      const auto [ended, size] = co_await socket.async_read_some(room, as_result);
      if (ended) co_return;
      received.append(piece.data(), size);
      out = script.answer(received, over);
    }
  }
  boost::system::error_code ignored;
  socket.shutdown(Socket::shutdown_both, ignored);
}

template <typename T>
void require_one_line_error(const Result<T>& result) {
  if (!result) require_one_line(result.error().detail, "an error is one line");
}

void require_sound(const daemon::Figures& figures) {
  std::set<std::string> names;
  for (const auto& family : figures) {
    require(names.insert(family.name).second, "a family is there once");
    require(!family.metric.empty(), "a family has samples");
    std::set<std::vector<std::pair<std::string, std::string>>> series;
    for (const auto& metric : family.metric) {
      std::vector<std::pair<std::string, std::string>> labels;
      for (const auto& label : metric.label) labels.emplace_back(label.name, label.value);
      require(series.insert(std::move(labels)).second, "a series is there once");
    }
    require(!exporters::serialize(family).empty(), "a family has a text");
  }
}

asio::awaitable<void> ask_identity(qmp::Client& client) {
  const auto identity = co_await qmp::query_identity(client);
  require_one_line_error(identity);
  const auto commands = co_await qmp::query_commands(client);
  require_one_line_error(commands);
}

asio::awaitable<void> ask_about_trace(qmp::Client& client) {
  const auto backends = co_await qmp::detect_backends(client);
  require_one_line_error(backends);
  const auto listed = co_await qmp::list_trace_events(client);
  if (listed) {
    for (const auto& line : qmp::parse_trace_event_lines(*listed))
      require(!line.name.empty(), "an event has a name");
  }
  const auto states = co_await qmp::get_event_states(client, "virtio_*");
  require_one_line_error(states);
  const auto switched = co_await qmp::set_event_state(client, "virtio_notify", true);
  require_one_line_error(switched);
  const auto status = co_await qmp::trace_file_status(client);
  require_one_line_error(status);
  const auto file = co_await qmp::set_trace_file(client, "/run/qemond/trace/vm.trace");
  require_one_line_error(file);
  const auto on = co_await qmp::switch_trace_file(client, true);
  require_one_line_error(on);
  const auto flushed = co_await qmp::flush_trace_file(client);
  require_one_line_error(flushed);
  const auto log = co_await qmp::set_logfile(client, "/proc/self/fd/2");
  require_one_line_error(log);
  const auto added = co_await qmp::add_descriptor(client, 0);
  require_one_line_error(added);
}

asio::awaitable<void> poll(qmp::Client& client, const Collector& collector) {
  static const qmp::Identity identity;
  static const std::optional<daemon::ProcessInfo> process;
  static const std::string plugin_path;
  static const std::function<Result<void>()> write_journal = [] { return Result<void>(); };
  const std::set<std::string> commands(collector.needs.begin(), collector.needs.end());
  daemon::JournaledCollecting changed;
  const CollectorView view{
      &client, identity,     process, plugin_path, commands, 1, qmp::default_deadline,
      changed, write_journal};
  // Counters are made of what is told twice.
  for (int i = 0; i < 2; ++i) {
    const auto figures = co_await collector.poll(view);
    require_one_line_error(figures);
    if (figures) require_sound(*figures);
  }
  if (collector.finish) {
    const auto finished = co_await collector.finish(view);
    require_one_line_error(finished);
  }
}

asio::awaitable<void> ask(std::string_view name, qmp::Client& client,
                          const std::vector<Collector>& collectors) {
  const auto greeted = co_await client.handshake();
  if (!greeted) {
    client.close();
    co_return;
  }
  const auto executor = co_await asio::this_coro::executor;
  asio::co_spawn(executor, client.run(), [](std::exception_ptr failure, const Error& reason) {
    rethrow(std::move(failure));
    require_one_line(reason.detail, "a session ends for a reason");
  });
  if (name == "identity") co_await ask_identity(client);
  if (name == "trace") co_await ask_about_trace(client);
  for (const auto& collector : collectors)
    if (collector.name == name) co_await poll(client, collector);
  client.close();
}

Socket adopt(asio::io_context& context, int fd) {
  Socket socket(context);
  socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), fd);
  return socket;
}

}  // namespace

bool talk(std::string_view name, qmp::Protocol protocol, PeerScript script) {
  // Made anew, since some keep what they were told.
  const auto collectors = daemon::make_collectors();
  const auto is_named = [&](const Collector& each) {
    return each.name == name && !each.needs_process;
  };
  if (name != "identity" && name != "trace" &&
      std::none_of(collectors.begin(), collectors.end(), is_named))
    return false;
  asio::io_context context(1);
  std::array<int, 2> pair{};
  require(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0, "there are sockets");
  qmp::Client client(adopt(context, pair[0]), {qmp::default_deadline, protocol});
  Socket peer = adopt(context, pair[1]);
  asio::co_spawn(context, serve(peer, script), rethrow);
  asio::co_spawn(context, ask(name, client, collectors), rethrow);
  context.run();
  return true;
}

}  // namespace qemon::fuzz
