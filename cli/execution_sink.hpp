// ExecutionSink: takes from a trace what it tells of executed code.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "cli/execution_profile.hpp"
#include "trace/decoder.hpp"
#include "trace/event_table.hpp"

namespace qemon::cli {

/// Knows the events of trace::execution_catalog(). Each kind of sample is kept apart: with `-d
/// exec,cpu` a block has a line and a dump, and must not count twice.
class ExecutionSink final : public trace::RecordSink {
 public:
  /// `events` must outlive us, and know these events already.
  ExecutionSink(const trace::EventTable& events, std::uint64_t page_bytes);

  void on_record(const trace::Record& record) override;
  trace::Tally tally() override;
  void on_loss(std::uint64_t /*count*/) override {}

  /// Records of exec_tb_exit, which have no program counter.
  [[nodiscard]] std::uint64_t exits() const { return counts_[exits_]; }
  /// Of the kind of samples that tells most; without samples if there are none at all.
  void finish(ExecutionProfile& profile);

 private:
  enum Kind : std::size_t { exec_log, exec_tb, cpu_log, kinds };
  static constexpr std::uint8_t no_kind = 255;

  const trace::EventTable& events_;
  std::uint64_t page_bytes_;
  trace::EventIndex exits_;
  std::vector<std::uint8_t> kinds_;     // By event.
  std::vector<std::uint64_t> counts_;   // By event, of those that are only counted.
  std::vector<std::uint16_t> readers_;  // By event: whether its records are wanted.
  std::array<std::optional<ProfileBuilder>, kinds> builders_;
  trace::Arguments arguments_;
};

}  // namespace qemon::cli
