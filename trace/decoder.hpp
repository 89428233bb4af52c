// Decoder, Record, RecordSink: the border between trace bytes and everything that counts them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

#include "trace/event_table.hpp"

namespace qemon::trace {

class Decoder;

/// One occurrence of an event. A view into the caller's buffer: valid only during
/// RecordSink::on_record.
struct Record {
  EventIndex event = 0;
  bool has_time = false;
  /// Nanoseconds. `simple`: CLOCK_MONOTONIC of the host. `log`, `syslog`: since the epoch,
  /// microsecond resolution. `ftrace`: of the clock of its buffer, microsecond resolution.
  std::int64_t time_ns = 0;
  /// `simple`, `syslog`: process id. `ftrace`, and `log` before QEMU 10.1 with timestamps: thread
  /// id. Else 0.
  std::uint32_t id = 0;
  std::string_view payload;  ///< `simple`: the stored arguments. The others: the text behind the
                             ///< event's name and one blank.
  const Decoder* decoder = nullptr;  ///< Whose arguments() reads the payload.
};

/// The value of one argument. Integers and pointers are the 64 bits that the `simple` backend
/// stores: the C value cast to uint64_t, so signed types are sign-extended to 64 bits. Strings are
/// views into the record. Of the two members the one that the argument's kind does not use is
/// unspecified.
struct Value {
  std::uint64_t bits = 0;
  std::string_view text;
};

/// QEMU allows at most 10 arguments; the implicit one of `vcpu` events makes 11.
inline constexpr std::size_t arguments_max = 11;

/// A record's arguments in declared order.
struct Arguments {
  std::array<Value, arguments_max> values;
  std::size_t count = 0;
};

/// What a decoder could not use, by reason. Exported as the label `reason`; see `to_string`.
enum class DecodeError : std::uint8_t {
  bad_header,  ///< The stream does not begin with a `simple` header of version 4 and this host's
               ///< byte order.
  bad_record,  ///< Bytes that are no record where one should begin (each run of them counts once).
  unknown_event,  ///< A `simple` record whose event id has no mapping.
  bad_mapping,    ///< A mapping record with an impossible name.
  unknown_line,   ///< A log line that is no trace line: messages on stderr, -d items, continuation
                  ///< lines.
  overlong_line,  ///< A log line longer than the limit; its event is counted, the rest of the line
                  ///< skipped.
};
inline constexpr std::size_t decode_error_count = 6;
/// The label value, for instance "bad_record".
[[nodiscard]] std::string_view to_string(DecodeError error);

/// The least and the greatest of some times, as in Record.
struct TimeSpan {
  std::int64_t first_ns = std::numeric_limits<std::int64_t>::max();
  std::int64_t last_ns = std::numeric_limits<std::int64_t>::min();

  [[nodiscard]] bool empty() const { return last_ns < first_ns; }
  void include(std::int64_t time_ns) {
    first_ns = std::min(first_ns, time_ns);
    last_ns = std::max(last_ns, time_ns);
  }
  void include(const TimeSpan& other) {
    first_ns = std::min(first_ns, other.first_ns);
    last_ns = std::max(last_ns, other.last_ns);
  }
};

/// Totals since the decoder was made; restart() does not reset them.
struct DecoderStats {
  std::uint64_t records = 0;  ///< Given to the sink.
  std::uint64_t stale_records =
      0;  ///< `simple`: older than what was asked for; not given to the sink.
  std::uint64_t dropped_events = 0;  ///< `simple`: what QEMU says that it lost, since what was
                                     ///< asked for. `ftrace`, `syslog`: what the log says.
  std::uint64_t resyncs = 0;     ///< How often decoding had to look for the next plausible record.
  std::uint64_t lost_bytes = 0;  ///< Bytes passed over by resyncs.
  std::array<std::uint64_t, decode_error_count> errors{};
  TimeSpan span;  ///< Of the records that had a time.
};

/// Counters of a sink, to which a decoder itself adds the records of events that nobody reads: most
/// of a trace is of such events, and a call for each would take longer than decoding it.
struct Tally {
  std::span<std::uint64_t> counts;         ///< By event.
  std::span<const std::uint16_t> readers;  ///< As many; 0 for an event that is only counted.

  [[nodiscard]] bool only_counts(EventIndex event) const {
    return event < counts.size() && readers[event] == 0;
  }
};

/// 2^40: no source adds up a greater value.
inline constexpr std::uint64_t summed_value_max = std::uint64_t{1} << 40;

/// Takes records as they are decoded.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void on_record(const Record& record) = 0;
  /// What needs no on_record. Valid until the event table changes, or the sink's interests do.
  virtual Tally tally() { return {}; }
  /// So many records were added to the tally since it was asked for. `last_ns` is the time of the
  /// last record of all, if it had one.
  virtual void on_tallied(std::uint64_t records, std::optional<std::int64_t> last_ns) {
    (void)records, (void)last_ns;
  }
  /// The arguments of an event whose sums, with the number of its records, are all that is wanted
  /// of it, ascending; absent if its records are wanted, or nothing but what tally() counts. Valid
  /// as long as that.
  [[nodiscard]] virtual std::optional<std::span<const std::uint8_t>> only_sums(
      EventIndex event) const {
    (void)event;
    return std::nullopt;
  }
  /// Records of an event of which a source added up `arguments` by itself, from 0 to
  /// summed_value_max each; `sums`, as many or more, are theirs. The records were added to the
  /// tally as well. Sums may come before the records that they are of.
  virtual void on_summed(EventIndex event, std::uint64_t records,
                         std::span<const std::uint8_t> arguments,
                         std::span<const std::uint64_t> sums) {
    (void)event, (void)records, (void)arguments, (void)sums;
  }
  /// QEMU lost `count` events (at least) before the next record, or bytes were lost (count 0):
  /// pairs in flight are void.
  virtual void on_loss(std::uint64_t count) = 0;
  /// The stream begins anew (see Decoder::restart), told by whoever feeds the decoder: pairs in
  /// flight are void.
  virtual void on_restart() {}
};

/// Turns the bytes of one trace stream into records. Owned by the source that feeds it; not
/// thread-safe.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Decodes every whole record at the front of `bytes` and returns how many bytes are done with.
  /// The caller presents the rest again, followed by more. Always makes progress when given
  /// decode_bytes_max or more.
  virtual std::size_t decode(std::string_view bytes, RecordSink& sink) = 0;
  /// The stream begins anew (the file was truncated, replaced or reopened): what decode() is given
  /// next is its start.
  virtual void restart() = 0;
  /// The arguments of a record just given to the sink; false if the catalog does not describe them
  /// or they do not fit it.
  [[nodiscard]] virtual bool arguments(const Record& record, Arguments& into) const = 0;
  [[nodiscard]] virtual const DecoderStats& stats() const = 0;
};

/// A buffer of this size always holds at least one record, or a part that decode() will pass over.
inline constexpr std::size_t decode_bytes_max = 1024 * 1024;

}  // namespace qemon::trace
