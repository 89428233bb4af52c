// ProbeDecoder: turns what the program at QEMU's probes puts into its ring into records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "trace/decoder.hpp"
#include "trace/event_table.hpp"

namespace qemon::usdt {

/// Slots are indexes of the event table, from which records of others are refused. Owned by the
/// source that reads the ring; one thread.
class ProbeDecoder final : public trace::Decoder {
 public:
  explicit ProbeDecoder(const trace::EventTable& events) : events_(events) {}

  /// `bytes` is one record, whole, as the ring gives it.
  std::size_t decode(std::string_view bytes, trace::RecordSink& sink) override;
  void restart() override {}
  [[nodiscard]] bool arguments(const trace::Record& record, trace::Arguments& into) const override;
  [[nodiscard]] const trace::DecoderStats& stats() const override { return stats_; }

  /// So many records of an event that is only counted.
  void add_counted(std::uint64_t records) { stats_.records += records; }
  /// So many in all had no room in the ring until now; the sink is told of those that are new.
  void lost(std::uint64_t total, trace::RecordSink& sink);
  /// Records with an argument that could not be read.
  [[nodiscard]] std::uint64_t unreadable() const { return unreadable_; }

 private:
  const trace::EventTable& events_;
  trace::DecoderStats stats_;
  std::uint64_t unreadable_ = 0;
};

}  // namespace qemon::usdt
