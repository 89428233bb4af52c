// TraceWorkload: a recorded trace with all that decodes and counts it, for benchmarks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/engine.hpp"
#include "exporters/pack.hpp"
#include "trace/catalog.hpp"
#include "trace/decoder.hpp"
#include "trace/event_table.hpp"
#include "trace/trace_input.hpp"

namespace qemon::bench {

/// Both are of QEMU 7.2, and full of what the packs block, virtio-blk and irq read. Whatever goes
/// wrong is thrown as std::runtime_error.
class TraceWorkload {
 public:
  using Format = trace::TraceInput::Format;

  /// `with_packs`: those three; else events are only counted.
  TraceWorkload(Format format, bool with_packs);

  /// Decodes the whole trace, and returns how many records it had.
  std::uint64_t run();

  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  [[nodiscard]] trace::Decoder& decoder() { return *decoder_; }
  [[nodiscard]] exporters::Engine& engine() { return engine_; }

 private:
  std::string bytes_;
  trace::Catalog catalog_;
  trace::EventTable events_;
  exporters::Engine engine_{events_};
  std::unique_ptr<trace::Decoder> decoder_;
};

}  // namespace qemon::bench
