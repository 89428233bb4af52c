// LiveReader: reads an LTTng live session with libbabeltrace2 and writes its records in the format
// of QEMU's `simple` backend.
#pragma once

#include <babeltrace2/babeltrace.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "lttng/simple_writer.hpp"
#include "lttng/wanted_arguments.hpp"

namespace qemon::lttng {

struct LiveReaderOptions {
  std::string url;        ///< net://HOST:PORT/host/TRACED_HOST/SESSION
  std::uint32_t pid = 0;  ///< Of QEMU; stands in every record.
  int output = -1;        ///< Where the records are written to, whole.
  /// Called by the reading thread, once for each event whose records lack an argument: they are
  /// written without any.
  std::function<void(const std::string& event, const std::string& argument)> on_incomplete;
  /// Called by the reading thread when so many buffers of records, and nobody knows how many
  /// records in them, were overwritten at lttng-relayd before they were read.
  std::function<void(std::uint64_t buffers)> on_overwritten;
};

/// One session's records. libbabeltrace2 blocks while lttng-relayd does not answer, so run() needs
/// a thread of its own.
class LiveReader {
 public:
  /// `wanted` must outlive the reader.
  LiveReader(LiveReaderOptions options, const WantedArguments& wanted);
  ~LiveReader();
  LiveReader(const LiveReader&) = delete;
  LiveReader& operator=(const LiveReader&) = delete;

  /// Connects to lttng-relayd and makes ready to read the session from now on.
  [[nodiscard]] Result<void> attach();
  /// Reads and writes until the session is destroyed or the output is closed.
  [[nodiscard]] Result<void> run();
  /// From any thread: up to which moment (CLOCK_MONOTONIC) everything was read and written.
  [[nodiscard]] std::int64_t read_until_ns() const { return read_until_ns_.load(); }

 private:
  struct Field {
    std::uint64_t index = 0;
    bool is_string = false;
  };
  /// How the records of an event class are written.
  struct Plan {
    std::uint64_t id = 0;
    std::uint64_t generation = 0;
    std::vector<Field> fields;
  };
  enum class Turn : std::uint8_t { more, idle, ended };

  [[nodiscard]] Result<Turn> take_turn();
  [[nodiscard]] bool write_out();
  static bt_graph_simple_sink_component_initialize_func_status initialize(
      bt_message_iterator* iterator, void* reader);
  static bt_graph_simple_sink_component_consume_func_status consume(bt_message_iterator* iterator,
                                                                    void* reader);
  void take(const bt_message* message);
  void take_event(const bt_message* message);
  void make_plan(const bt_event_class* event_class, Plan& plan);
  void lost(std::uint64_t count);

  LiveReaderOptions options_;
  const WantedArguments& wanted_;
  SimpleWriter writer_;
  bt_graph* graph_ = nullptr;
  std::unordered_map<const bt_event_class*, Plan> plans_;  // Each key is a reference of ours.
  std::unordered_map<std::string, std::uint64_t> ids_;
  std::int64_t last_ns_ = 0;
  std::atomic<std::int64_t> read_until_ns_ = 0;
};

}  // namespace qemon::lttng
