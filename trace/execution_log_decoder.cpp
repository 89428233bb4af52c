#include "trace/execution_log_decoder.hpp"

#include <cstdint>
#include <utility>

namespace qemon::trace {

/// Gives records on, and counts what decides who goes on reading.
class ExecutionLogDecoder::Observer final : public RecordSink {
 public:
  Observer(const EventTable& events, RecordSink& sink) : events_(events), sink_(sink) {}

  void on_record(const Record& record) override {
    const std::string_view name = events_.name(record.event);
    if (name == exec_log_block_event) {
      ++blocks;
    } else if (name == exec_log_registers_event) {
      ++dumps;
    } else {
      ++traced;
    }
    sink_.on_record(record);
  }
  void on_loss(std::uint64_t count) override { sink_.on_loss(count); }

  std::uint64_t blocks = 0;
  std::uint64_t dumps = 0;
  std::uint64_t traced = 0;

 private:
  const EventTable& events_;
  RecordSink& sink_;
};

Catalog execution_catalog() {
  return Catalog::parse(
             "exec_log_block(uint64_t pc) \"pc=0x%\"PRIx64\n"
             "exec_log_registers(uint64_t pc) \"pc=0x%\"PRIx64\n"
             "exec_tb(void *tb, uintptr_t pc) \"tb:%p pc=0x%\"PRIxPTR\n"
             "exec_tb_nocache(void *tb, uintptr_t pc) \"tb:%p pc=0x%\"PRIxPTR\n"
             "exec_tb_exit(void *last_tb, unsigned int flags) \"tb:%p flags=0x%x\"\n")
      .value();
}

ExecutionLogDecoder::ExecutionLogDecoder(EventTable& events)
    : events_(events), exec_log_(std::in_place, events), trace_log_(std::in_place, events) {
  for (const auto name : {exec_tb_event, exec_tb_nocache_event, exec_tb_exit_event})
    events.add(name);
}

std::size_t ExecutionLogDecoder::decode(std::string_view bytes, RecordSink& sink) {
  if (!trace_log_) return exec_log_->decode(bytes, sink);
  if (!exec_log_) return trace_log_->decode(bytes, sink);
  // Both are given whole lines, so that both are done with the same bytes.
  const std::size_t newline = bytes.rfind('\n');
  if (newline != std::string_view::npos) {
    bytes = bytes.substr(0, newline + 1);
  } else if (bytes.size() < decode_bytes_max) {
    return 0;
  }
  // With -d int there are dumps too, beside which other things may be worth more.
  constexpr std::uint64_t dumps_enough = 1000;
  Observer observer(events_, sink);
  (void)exec_log_->decode(bytes, observer);
  (void)trace_log_->decode(bytes, observer);
  dumps_ += observer.dumps;
  const bool is_exec_log = observer.blocks > 0 || dumps_ >= dumps_enough;
  if (is_exec_log && observer.traced == 0) {
    trace_log_.reset();
  } else if (observer.traced > 0 && observer.blocks == 0 && observer.dumps == 0) {
    exec_log_.reset();
  }
  return bytes.size();
}

void ExecutionLogDecoder::restart() {
  if (exec_log_) exec_log_->restart();
  if (trace_log_) trace_log_->restart();
}

const DecoderStats& ExecutionLogDecoder::stats() const {
  return exec_log_ ? exec_log_->stats() : trace_log_->stats();
}

}  // namespace qemon::trace
