#include "lttng/live_reader.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace qemon::lttng {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::string_view provider = "qemu:";  // Of QEMU's tracepoints.
constexpr std::size_t write_bytes = 65536;

// While nothing comes, lttng-relayd is asked for each CPU's stream: as often as freshness needs,
// but not for more than a fifth of the time on hosts with many CPUs.
constexpr auto pause_min = 20ms;
constexpr int pause_per_turn = 4;

/// What libbabeltrace2 says went wrong, the innermost cause first.
Error current_error(std::string_view what) {
  const bt_error* const error = bt_current_thread_take_error();
  std::string detail(what);
  if (error != nullptr) {
    if (bt_error_get_cause_count(error) > 0) {
      const auto* const cause = bt_error_borrow_cause_by_index(error, 0);
      detail += std::string(": ") + bt_error_cause_get_message(cause);
    }
    bt_error_release(error);
  }
  std::replace(detail.begin(), detail.end(), '\n', ' ');
  return Error{std::move(detail)};
}

struct PutRef {
  void operator()(const bt_plugin* plugin) const { bt_plugin_put_ref(plugin); }
  void operator()(const bt_value* value) const { bt_value_put_ref(value); }
};

std::optional<std::int64_t> time_of(const bt_clock_snapshot* snapshot) {
  if (snapshot == nullptr) return std::nullopt;
  // LTTng-UST's clock is CLOCK_MONOTONIC in nanoseconds; what CTF adds makes it time of day.
  return static_cast<std::int64_t>(bt_clock_snapshot_get_value(snapshot));
}

}  // namespace

LiveReader::LiveReader(LiveReaderOptions options, const WantedArguments& wanted)
    : options_(std::move(options)), wanted_(wanted), writer_(options_.pid) {}

LiveReader::~LiveReader() {
  for (const auto& [event_class, plan] : plans_) bt_event_class_put_ref(event_class);
  if (graph_ != nullptr) bt_graph_put_ref(graph_);
}

Result<void> LiveReader::attach() {
  const bt_plugin* found = nullptr;
  if (bt_plugin_find("ctf", BT_TRUE, BT_FALSE, BT_TRUE, BT_FALSE, BT_TRUE, &found) !=
      BT_PLUGIN_FIND_STATUS_OK)
    return current_error("libbabeltrace2 has no plugin ctf");
  const std::unique_ptr<const bt_plugin, PutRef> plugin(found);
  const auto* const source_class =
      bt_plugin_borrow_source_component_class_by_name_const(plugin.get(), "lttng-live");
  if (source_class == nullptr) return Error{"libbabeltrace2's plugin ctf has no lttng-live"};

  const std::unique_ptr<bt_value, PutRef> parameters(bt_value_map_create());
  bt_value* inputs = nullptr;
  bt_value_map_insert_empty_array_entry(parameters.get(), "inputs", &inputs);
  bt_value_array_append_string_element(inputs, options_.url.c_str());
  bt_value_map_insert_string_entry(parameters.get(), "session-not-found-action", "fail");

  graph_ = bt_graph_create(0);
  const bt_component_source* source = nullptr;
  const bt_component_sink* sink = nullptr;
  if (bt_graph_add_source_component(graph_, source_class, "session", parameters.get(),
                                    BT_LOGGING_LEVEL_NONE,
                                    &source) != BT_GRAPH_ADD_COMPONENT_STATUS_OK ||
      bt_graph_add_simple_sink_component(graph_, "records", initialize, consume, nullptr, this,
                                         &sink) != BT_GRAPH_ADD_COMPONENT_STATUS_OK ||
      bt_graph_connect_ports(graph_,
                             bt_component_source_borrow_output_port_by_index_const(source, 0),
                             bt_component_sink_borrow_input_port_by_index_const(sink, 0),
                             nullptr) != BT_GRAPH_CONNECT_PORTS_STATUS_OK)
    return current_error("lttng-relayd at " + options_.url);
  writer_.header();
  // The first turn connects and attaches.
  const auto turn = take_turn();
  if (!turn) return turn.error();
  if (*turn == Turn::ended) return Error{"lttng-relayd at " + options_.url + ": no such session"};
  return {};
}

Result<void> LiveReader::run() {
  for (;;) {
    const auto began = Clock::now();
    const auto turn = take_turn();
    if (!turn) return turn.error();
    // What was read must be where it belongs before it is said that it was read.
    const bool flush = *turn != Turn::more || writer_.bytes().size() >= write_bytes;
    if (flush && !write_out()) return {};
    if (*turn == Turn::ended) return {};
    if (flush) read_until_ns_ = last_ns_;
    if (*turn == Turn::idle)
      std::this_thread::sleep_for(
          std::max<Clock::duration>(pause_min, pause_per_turn * (Clock::now() - began)));
  }
}

Result<LiveReader::Turn> LiveReader::take_turn() {
  switch (bt_graph_run_once(graph_)) {
    case BT_GRAPH_RUN_ONCE_STATUS_OK:
      return Turn::more;
    case BT_GRAPH_RUN_ONCE_STATUS_AGAIN:
      return Turn::idle;
    case BT_GRAPH_RUN_ONCE_STATUS_END:
      return Turn::ended;
    default:
      return current_error("lttng-relayd at " + options_.url);
  }
}

/// False if nobody reads any more.
bool LiveReader::write_out() {
  std::string_view rest = writer_.bytes();
  while (!rest.empty()) {
    const auto written = ::write(options_.output, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  writer_.clear();
  return true;
}

bt_graph_simple_sink_component_initialize_func_status LiveReader::initialize(
    bt_message_iterator* /*iterator*/, void* /*reader*/) {
  return BT_GRAPH_SIMPLE_SINK_COMPONENT_INITIALIZE_FUNC_STATUS_OK;
}

bt_graph_simple_sink_component_consume_func_status LiveReader::consume(
    bt_message_iterator* iterator, void* reader) {
  bt_message_array_const messages = nullptr;
  std::uint64_t count = 0;
  switch (bt_message_iterator_next(iterator, &messages, &count)) {
    case BT_MESSAGE_ITERATOR_NEXT_STATUS_OK:
      break;
    case BT_MESSAGE_ITERATOR_NEXT_STATUS_AGAIN:
      return BT_GRAPH_SIMPLE_SINK_COMPONENT_CONSUME_FUNC_STATUS_AGAIN;
    case BT_MESSAGE_ITERATOR_NEXT_STATUS_END:
      return BT_GRAPH_SIMPLE_SINK_COMPONENT_CONSUME_FUNC_STATUS_END;
    case BT_MESSAGE_ITERATOR_NEXT_STATUS_MEMORY_ERROR:
      return BT_GRAPH_SIMPLE_SINK_COMPONENT_CONSUME_FUNC_STATUS_MEMORY_ERROR;
    default:
      return BT_GRAPH_SIMPLE_SINK_COMPONENT_CONSUME_FUNC_STATUS_ERROR;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    static_cast<LiveReader*>(reader)->take(messages[i]);
    bt_message_put_ref(messages[i]);
  }
  return BT_GRAPH_SIMPLE_SINK_COMPONENT_CONSUME_FUNC_STATUS_OK;
}

void LiveReader::take(const bt_message* message) {
  std::uint64_t count = 0;
  switch (bt_message_get_type(message)) {
    case BT_MESSAGE_TYPE_EVENT:
      take_event(message);
      break;
    case BT_MESSAGE_TYPE_DISCARDED_EVENTS:
      if (bt_message_discarded_events_get_count(message, &count) !=
          BT_PROPERTY_AVAILABILITY_AVAILABLE)
        count = 1;
      lost(count);
      break;
    case BT_MESSAGE_TYPE_DISCARDED_PACKETS:
      // How many records they had nobody knows: one each at least.
      if (bt_message_discarded_packets_get_count(message, &count) !=
          BT_PROPERTY_AVAILABILITY_AVAILABLE)
        count = 1;
      lost(count);
      if (options_.on_overwritten) options_.on_overwritten(count);
      break;
    case BT_MESSAGE_TYPE_MESSAGE_ITERATOR_INACTIVITY:
      if (const auto time =
              time_of(bt_message_message_iterator_inactivity_borrow_clock_snapshot_const(message)))
        last_ns_ = std::max(last_ns_, *time);
      break;
    default:
      break;
  }
}

void LiveReader::take_event(const bt_message* message) {
  const auto* const event = bt_message_event_borrow_event_const(message);
  const auto* const event_class = bt_event_borrow_class_const(event);
  if (const auto time = time_of(bt_message_event_borrow_default_clock_snapshot_const(message)))
    last_ns_ = *time;
  const auto [place, is_new] = plans_.try_emplace(event_class);
  if (is_new) bt_event_class_get_ref(event_class);
  auto& plan = place->second;
  if (is_new || plan.generation != wanted_.generation()) make_plan(event_class, plan);

  writer_.begin_event(plan.id, last_ns_);
  const auto* const payload = bt_event_borrow_payload_field_const(event);
  for (const auto& field : plan.fields) {
    const auto* const value =
        bt_field_structure_borrow_member_field_by_index_const(payload, field.index);
    if (field.is_string) {
      writer_.add_string({bt_field_string_get_value(value), bt_field_string_get_length(value)});
    } else if (bt_field_class_type_is(bt_field_get_class_type(value),
                                      BT_FIELD_CLASS_TYPE_UNSIGNED_INTEGER)) {
      writer_.add_integer(bt_field_integer_unsigned_get_value(value));
    } else {
      writer_.add_integer(static_cast<std::uint64_t>(bt_field_integer_signed_get_value(value)));
    }
  }
  writer_.end_event();
}

/// Finds the wanted arguments among the fields, by name: QEMU's tracepoints lack some, for instance
/// those of type char.
void LiveReader::make_plan(const bt_event_class* event_class, Plan& plan) {
  plan.generation = wanted_.generation();
  std::string_view full = bt_event_class_get_name(event_class);
  if (full.starts_with(provider)) full.remove_prefix(provider.size());
  const std::string name(full);
  const auto [place, is_new] = ids_.try_emplace(name, ids_.size());
  plan.id = place->second;
  if (is_new) writer_.mapping(plan.id, name);

  plan.fields.clear();
  const auto* const payload = bt_event_class_borrow_payload_field_class_const(event_class);
  for (const auto& argument : wanted_.of(name)) {
    bool found = false;
    const auto members =
        payload == nullptr ? 0 : bt_field_class_structure_get_member_count(payload);
    for (std::uint64_t i = 0; i < members && !found; ++i) {
      const auto* const member = bt_field_class_structure_borrow_member_by_index_const(payload, i);
      if (bt_field_class_structure_member_get_name(member) != argument.name) continue;
      const auto type =
          bt_field_class_get_type(bt_field_class_structure_member_borrow_field_class_const(member));
      const auto wanted =
          argument.is_string ? BT_FIELD_CLASS_TYPE_STRING : BT_FIELD_CLASS_TYPE_INTEGER;
      if (!bt_field_class_type_is(type, wanted)) break;
      plan.fields.push_back({i, argument.is_string});
      found = true;
    }
    if (!found) {
      plan.fields.clear();
      if (options_.on_incomplete) options_.on_incomplete(name, argument.name);
      break;
    }
  }
}

void LiveReader::lost(std::uint64_t count) {
  if (count > 0) writer_.dropped(count, last_ns_);
}

}  // namespace qemon::lttng
