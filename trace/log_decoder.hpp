// LogDecoder: turns the text that QEMU's `log` trace backend writes into records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trace/decoder.hpp"
#include "trace/event_table.hpp"
#include "trace/format_scanner.hpp"
#include "trace/log_prefix.hpp"
#include "trace/shared_log.hpp"

namespace qemon::trace {

/// Whether a line of a shared log is one of the QEMU whose trace is decoded.
enum class LineOwner : std::uint8_t {
  us,
  others,
  unknown,  ///< Its thread is gone. If it is a trace line, it counts as lost.
};

struct LogDecoderOptions {
  /// The stream is joined in the middle of a line: what comes before the first newline is dropped
  /// and not counted. For a log that is followed from its end, when its last byte is no newline.
  bool start_mid_line = false;
  /// The log is one that QEMU shares with other programs; its lines have the prefixes of
  /// shared_log.hpp instead of those of QEMU's own log.
  std::optional<SharedLog> shared = std::nullopt;
  /// Asked for each thread or process of a shared log, not for each of its lines.
  std::function<LineOwner(std::uint32_t id)> owner_of = nullptr;
  /// Whether it is in a systemd unit, all of whose messages may have been suppressed.
  std::function<bool(std::string_view unit)> is_in_unit = nullptr;
};

/// A trace line is `[PREFIX]NAME TEXT`, with NAME in the event table and a prefix of log_prefix.hpp
/// or none. Every other line is an `unknown_line`: QEMU writes its warnings and the output of `-d`
/// to the same place, and a string argument may have newlines in it.
///
/// Events whose format has newlines (8 of them, up to QEMU 8.2) take that many lines more. Their
/// record waits for these, but ends early at a line that is itself a trace line.
///
/// NUL bytes at the beginning of a line are passed over: the hole that logrotate's `copytruncate`
/// leaves, since QEMU goes on writing at its own offset. A carriage return before the newline is
/// no part of the line.
///
/// A record's payload is the text behind NAME and one blank. It is empty for a line that is longer
/// than decode_bytes_max or was cut by who wrote it, because an argument cut in two would be a
/// wrong one.
///
/// Of a shared log, the lines of others are passed over, and what the log says it lost is told to
/// the sink.
class LogDecoder final : public Decoder {
 public:
  /// Knows the names that are in `events` at each call of decode(). `events` must outlive us.
  explicit LogDecoder(const EventTable& events, LogDecoderOptions options = {});

  std::size_t decode(std::string_view bytes, RecordSink& sink) override;
  void restart() override;
  [[nodiscard]] bool arguments(const Record& record, Arguments& into) const override;
  [[nodiscard]] const DecoderStats& stats() const override { return stats_; }

 private:
  /// The table's names, hashed: flat memory and no allocation, for one look-up a line.
  class NameIndex {
   public:
    void update(const EventTable& events);
    /// nullptr if [name, name + size) is not known.
    [[nodiscard]] const EventIndex* find(const char* name, std::size_t size) const;
    /// No name is longer.
    [[nodiscard]] std::size_t size_max() const { return size_max_; }

   private:
    struct Slot {
      std::uint32_t hash = 0;
      std::uint32_t size = 0;  ///< 0 in a free slot.
      std::size_t name_at = 0;
      EventIndex event = 0;
    };

    std::vector<Slot> slots_;  // A power of two, at most half of them used.
    std::string names_;
    std::size_t count_ = 0;
    std::size_t size_max_ = 0;
  };

  /// Updates what is derived from the event table, if that has changed.
  void refresh();
  /// Decodes the line [at, newline) and returns where the next one begins; nullptr if more bytes
  /// are needed.
  const char* decode_line(const char* at, const char* newline, const char* end, RecordSink& sink);
  void decode_overlong(const char* at, const char* end, RecordSink& sink);
  enum class Line : std::uint8_t {
    record,
    text,     ///< No trace line; may be the rest of the record before it.
    unknown,  ///< The same, but what it is it is by itself.
    others,   ///< Of another program.
    loss,
    repetition,
  };
  /// Fills in `record`, its payload reaching to `newline`, if this is a trace line; `shared_line_`
  /// tells the rest of a shared log's.
  Line parse_line(const char* at, const char* newline, Record& record);
  Line parse_shared(const char* at, const char* newline, LogPrefix& prefix);
  [[nodiscard]] LineOwner owner_of(std::uint32_t id);
  void lose(std::uint64_t count, RecordSink& sink);
  void decode_apart(Line kind, RecordSink& sink);
  /// Where a record of 1 + `more` lines ends that begins with [at, newline); nullptr if that is not
  /// to be seen yet.
  [[nodiscard]] const char* end_of_lines(const char* at, const char* newline, const char* end,
                                         unsigned more);
  void emit(const Record& record, RecordSink& sink);
  void emit_shared(Record& record, RecordSink& sink);
  void count(DecodeError error) { ++stats_.errors[static_cast<std::size_t>(error)]; }

  const EventTable& events_;
  LogDecoderOptions options_;
  NameIndex names_;
  LogTimeReader times_;
  DecoderStats stats_;
  Tally tally_;  ///< The sink's, during decode().
  std::uint64_t tallied_ = 0;
  std::optional<std::int64_t> last_ns_;
  bool skipping_;  ///< Everything up to the next newline is to be passed over.

  // Of a shared log.
  SharedLogLine shared_line_;  ///< What parse_line() saw.
  bool after_ours_ = false;    ///< The line before was ours.
  std::uint32_t last_id_ = 0;  ///< Whose the last line was, and who that is.
  /// How many records that a line says were repeated are made in one decode().
  static constexpr std::uint64_t repetitions_max = 10'000;
  std::uint64_t repetitions_left_ = repetitions_max;
  LineOwner last_owner_ = LineOwner::unknown;

  static constexpr std::uint32_t never = ~std::uint32_t{0};
  std::uint32_t more_lines_generation_ = never;
  std::vector<std::uint8_t> more_lines_;  ///< By event: newlines in its format.

  // Made when an event's arguments are asked for the first time; a cache, hence mutable.
  mutable std::uint32_t scanners_generation_ = never;
  mutable std::vector<std::unique_ptr<FormatScanner>> scanners_;
};

}  // namespace qemon::trace
