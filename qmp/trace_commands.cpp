#include "qmp/trace_commands.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/utf8.hpp"
#include "qmp/error.hpp"

namespace qemon::qmp {

namespace asio = boost::asio;
using nlohmann::json;
using std::chrono::milliseconds;

namespace {

Error unexpected(std::string_view command, const json& answer) {
  return make_error(errc::protocol, std::string(command) + ": unexpected answer " +
                                        one_line(answer.dump(-1, ' ', true), 80));
}

Result<TraceEventInfo> parse_event_info(const json& entry) {
  const auto name = entry.is_object() ? entry.find("name") : entry.end();
  const auto state = entry.is_object() ? entry.find("state") : entry.end();
  if (name == entry.end() || !name->is_string() || state == entry.end()) {
    return unexpected("trace-event-get-state", entry);
  }
  TraceEventInfo parsed{name->get<std::string>()};
  if (*state == "enabled") {
    parsed.state = TraceEventState::enabled;
  } else if (*state == "disabled") {
    parsed.state = TraceEventState::disabled;
  } else if (*state == "unavailable") {
    parsed.state = TraceEventState::unavailable;
  } else {
    return unexpected("trace-event-get-state", entry);
  }
  return parsed;
}

// Runs a human command that prints nothing when it succeeds.
asio::awaitable<Result<void>> silent_command(Client& client, std::string line, std::string what,
                                             milliseconds deadline) {
  const auto text = co_await human_command(client, std::move(line), deadline);
  if (!text) co_return wrap(text.error(), what);
  if (!text->empty()) co_return make_error(errc::command_failed, what + ": " + one_line(*text));
  co_return Result<void>();
}

// Checks that the trace file is as it should be after a change that QEMU reports no failure of.
asio::awaitable<Result<void>> expect_trace_file(Client& client, TraceFileStatus wanted,
                                                std::string what, milliseconds deadline) {
  const auto status = co_await trace_file_status(client, deadline);
  if (!status) co_return wrap(status.error(), what);
  if (status->name != wanted.name) {
    co_return make_error(errc::command_failed, what + ": QEMU still names its trace file \"" +
                                                   one_line(status->name) + "\"");
  }
  if (status->on == wanted.on) co_return Result<void>();
  if (wanted.on) {
    co_return make_error(errc::command_failed,
                         what + ": QEMU cannot open \"" + one_line(status->name) +
                             "\": let QEMU's user write to it and enter its directories");
  }
  co_return make_error(errc::command_failed, what + ": QEMU keeps writing the file");
}

// Asks the human monitor, where a monitor without human commands means "no".
asio::awaitable<Result<std::string>> ask(Client& client, std::string line, milliseconds deadline) {
  auto text = co_await human_command(client, std::move(line), deadline);
  if (!text && is_refusal(text.error())) text.emplace();
  co_return std::move(text);
}

}  // namespace

asio::awaitable<Result<std::vector<TraceEventInfo>>> get_event_states(Client& client,
                                                                      std::string pattern,
                                                                      milliseconds deadline) {
  const std::string what = "trace events " + one_line(pattern);
  json arguments = json::object();
  arguments["name"] = std::move(pattern);
  const auto answer =
      co_await client.execute("trace-event-get-state", std::move(arguments), deadline);
  if (!answer) co_return wrap(answer.error(), what);
  if (!answer->is_array()) co_return wrap(unexpected("trace-event-get-state", *answer), what);
  std::vector<TraceEventInfo> states;
  states.reserve(answer->size());
  for (const json& entry : *answer) {
    auto state = parse_event_info(entry);
    if (!state) co_return wrap(state.error(), what);
    states.push_back(std::move(*state));
  }
  co_return std::move(states);
}

asio::awaitable<Result<void>> set_event_state(Client& client, std::string name, bool enable,
                                              milliseconds deadline) {
  const std::string what = "trace event " + one_line(name) + (enable ? " on" : " off");
  if (name.find('*') != name.npos) {
    // As a glob it would switch others' events too, or fail as a whole because of one that is
    // compiled out.
    co_return make_error(errc::invalid_argument, what + ": not the name of one event");
  }
  json arguments = json::object();
  arguments["name"] = std::move(name);
  arguments["enable"] = enable;
  const auto answer =
      co_await client.execute("trace-event-set-state", std::move(arguments), deadline);
  if (!answer) co_return wrap(answer.error(), what);
  co_return Result<void>();
}

asio::awaitable<Result<std::string>> human_command(Client& client, std::string line,
                                                   milliseconds deadline) {
  json arguments = json::object();
  arguments["command-line"] = std::move(line);
  const auto answer =
      co_await client.execute("human-monitor-command", std::move(arguments), deadline);
  if (!answer) co_return answer.error();
  if (!answer->is_string()) co_return unexpected("human-monitor-command", *answer);
  Result<std::string> text(boost::system::in_place_value,
                           clean_hmp_text(answer->get_ref<const std::string&>()));
  co_return std::move(text);
}

asio::awaitable<Result<TraceFileStatus>> trace_file_status(Client& client, milliseconds deadline) {
  const auto text = co_await human_command(client, "trace-file", deadline);
  if (!text) co_return wrap(text.error(), "trace-file");
  auto status = parse_trace_file_status(*text);
  if (!status) co_return wrap(status.error(), "trace-file");
  co_return std::move(status);
}

asio::awaitable<Result<void>> set_trace_file(Client& client, std::string path,
                                             milliseconds deadline) {
  const std::string what = "trace file " + one_line(path);
  const auto quoted = quote_hmp_argument(path);
  if (!quoted) co_return wrap(quoted.error(), what);
  const auto before = co_await trace_file_status(client, deadline);
  if (!before) co_return wrap(before.error(), what);
  const auto set = co_await silent_command(client, "trace-file set " + *quoted, what, deadline);
  if (!set) co_return set.error();
  TraceFileStatus wanted{std::move(path), before->on};
  co_return co_await expect_trace_file(client, std::move(wanted), what, deadline);
}

asio::awaitable<Result<void>> switch_trace_file(Client& client, bool on, milliseconds deadline) {
  const std::string line = on ? "trace-file on" : "trace-file off";
  const auto before = co_await trace_file_status(client, deadline);
  if (!before) co_return wrap(before.error(), line);
  const auto done = co_await silent_command(client, line, line, deadline);
  if (!done) co_return done.error();
  TraceFileStatus wanted{before->name, on};
  co_return co_await expect_trace_file(client, std::move(wanted), line, deadline);
}

asio::awaitable<Result<void>> flush_trace_file(Client& client, milliseconds deadline) {
  const std::string line = "trace-file flush";
  co_return co_await silent_command(client, line, line, deadline);
}

asio::awaitable<Result<void>> set_logfile(Client& client, std::string path, milliseconds deadline) {
  const std::string what = "logfile " + one_line(path);
  if (path.empty()) {
    // It fails in QEMU too, but only after the log has been closed.
    co_return make_error(errc::invalid_argument, what + ": the path is empty");
  }
  if (path.find('%') != path.npos) {
    co_return make_error(
        errc::invalid_argument,
        what + ": QEMU gives the percent sign a meaning of its own; use another path");
  }
  const auto quoted = quote_hmp_argument(path);
  if (!quoted) co_return wrap(quoted.error(), what);
  co_return co_await silent_command(client, "logfile " + *quoted, what, deadline);
}

asio::awaitable<Result<AddedDescriptor>> add_descriptor(Client& client, int fd,
                                                        milliseconds deadline) {
  const auto answer = co_await client.execute_with_descriptor("add-fd", json(), fd, deadline);
  if (!answer) co_return answer.error();
  const auto set = answer->is_object() ? answer->find("fdset-id") : answer->end();
  const auto number = answer->is_object() ? answer->find("fd") : answer->end();
  if (set == answer->end() || !set->is_number_integer() || number == answer->end() ||
      !number->is_number_integer()) {
    co_return unexpected("add-fd", *answer);
  }
  const auto value = number->get<std::int64_t>();
  if (value < 0 || value > std::numeric_limits<int>::max()) co_return unexpected("add-fd", *answer);
  AddedDescriptor added;
  added.fdset_id = set->get<std::int64_t>();
  added.fd = static_cast<int>(value);
  co_return added;
}

asio::awaitable<Result<void>> remove_descriptors(Client& client, std::int64_t fdset_id,
                                                 milliseconds deadline) {
  json arguments = json::object();
  arguments["fdset-id"] = fdset_id;
  const auto answer = co_await client.execute("remove-fd", std::move(arguments), deadline);
  if (!answer) co_return answer.error();
  co_return Result<void>();
}

asio::awaitable<Result<Backends>> detect_backends(Client& client, milliseconds deadline) {
  // The human monitor has `trace-file` only if simple is built in, and `log help` offers
  // trace:PATTERN only if log is.
  const auto file_help = co_await ask(client, "help trace-file", deadline);
  if (!file_help) co_return wrap(file_help.error(), "trace backends");
  const auto log_help = co_await ask(client, "log help", deadline);
  if (!log_help) co_return wrap(log_help.error(), "trace backends");
  Backends found;
  found.simple = file_help->starts_with("trace-file");
  found.log = log_help->find("trace:PATTERN") != std::string::npos;
  if (file_help->empty() && log_help->empty()) {
    found.how = "this QEMU has no human monitor commands to ask";
  } else {
    found.how = found.simple ? "HMP \"help trace-file\" knows the command"
                             : "HMP \"help trace-file\" does not know the command";
    found.how += found.log ? ", \"log help\" offers trace:PATTERN"
                           : ", \"log help\" does not offer trace:PATTERN";
  }
  co_return std::move(found);
}

asio::awaitable<Result<std::string>> list_trace_events(Client& client, milliseconds deadline) {
  return human_command(client, "info trace-events", deadline);
}

}  // namespace qemon::qmp
