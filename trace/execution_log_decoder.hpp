// ExecutionLogDecoder: finds what a log says of executed guest code, whichever way QEMU was asked
// to write it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "trace/catalog.hpp"
#include "trace/decoder.hpp"
#include "trace/event_table.hpp"
#include "trace/exec_log_decoder.hpp"
#include "trace/log_decoder.hpp"

namespace qemon::trace {

/// QEMU's events about blocks that are entered from its main loop. They have been declared the same
/// since QEMU 1.3, so that no trace-events-all is needed to read them.
inline constexpr std::string_view exec_tb_event = "exec_tb";
inline constexpr std::string_view exec_tb_nocache_event = "exec_tb_nocache";
inline constexpr std::string_view exec_tb_exit_event = "exec_tb_exit";

/// Describes these three, and those of exec_log_catalog().
[[nodiscard]] Catalog execution_catalog();

/// A log has lines of `-d exec` and `-d cpu`, or of trace events, or both. Both decoders read it
/// until one of them alone has found something; then that one goes on. A log that begins with both
/// is read by both to its end.
class ExecutionLogDecoder final : public Decoder {
 public:
  /// `events` uses execution_catalog(), and must outlive us.
  explicit ExecutionLogDecoder(EventTable& events);

  std::size_t decode(std::string_view bytes, RecordSink& sink) override;
  void restart() override;
  [[nodiscard]] bool arguments(const Record& record, Arguments& into) const override {
    return record.decoder->arguments(record, into);
  }
  [[nodiscard]] const DecoderStats& stats() const override;

 private:
  class Observer;

  EventTable& events_;
  std::optional<ExecLogDecoder> exec_log_;
  std::optional<LogDecoder> trace_log_;
  std::uint64_t dumps_ = 0;  // Until it is decided.
};

}  // namespace qemon::trace
