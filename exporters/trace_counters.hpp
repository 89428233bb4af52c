// TraceCounters: the engine's layer that needs no configuration: how often each event of one VM
// occurred.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "trace/decoder.hpp"

namespace qemon::exporters {

/// The sink at the end of one VM's decoder. Owned by the VM and kept over reconnects, restarts of
/// QEMU and changes of the source, because counters never go back; event indexes are those of the
/// VM's EventTable, which lives as long.
class TraceCounters : public trace::RecordSink {
 public:
  void on_record(const trace::Record& record) override {
    if (record.event >= counts_.size()) grow(record.event);
    ++counts_[record.event];
    ++records_;
    if (record.has_time) last_time_ns_ = record.time_ns;
  }
  void on_tallied(std::uint64_t records, std::optional<std::int64_t> last_ns) override {
    records_ += records;
    if (last_ns) last_time_ns_ = last_ns;
  }
  void on_loss(std::uint64_t count) override {
    ++losses_;
    lost_events_ += count;
  }

  /// How many records of `event` there were; 0 for an event that never occurred.
  [[nodiscard]] std::uint64_t count(trace::EventIndex event) const {
    return event < counts_.size() ? counts_[event] : 0;
  }
  /// Counts by event index. May be shorter than the EventTable when its last events never occurred.
  [[nodiscard]] std::span<const std::uint64_t> counts() const { return counts_; }
  /// The counters of the first `size` events, to be added to; see on_tallied.
  [[nodiscard]] std::span<std::uint64_t> counts_of(std::size_t size) {
    if (counts_.size() < size) counts_.resize(size);
    return std::span(counts_).first(size);
  }
  [[nodiscard]] std::uint64_t records() const { return records_; }
  /// The time of the last record that had one, on the clock of its source; see trace::Record.
  [[nodiscard]] std::optional<std::int64_t> last_time_ns() const { return last_time_ns_; }
  /// How often something was lost, and the sum of what QEMU said it lost (less than the truth where
  /// bytes were lost).
  [[nodiscard]] std::uint64_t losses() const { return losses_; }
  [[nodiscard]] std::uint64_t lost_events() const { return lost_events_; }

 private:
  void grow(trace::EventIndex event);

  std::vector<std::uint64_t> counts_;
  std::uint64_t records_ = 0;
  std::optional<std::int64_t> last_time_ns_;
  std::uint64_t losses_ = 0;
  std::uint64_t lost_events_ = 0;
};

}  // namespace qemon::exporters
