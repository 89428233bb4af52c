// TraceFeed: one trace file that is being followed, with its decoder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "trace/decoder.hpp"
#include "trace/file_tail.hpp"
#include "trace/log_decoder.hpp"
#include "trace/trace_file.hpp"
#include "trace/trace_format.hpp"

namespace qemon::trace {

class SimpleDecoder;

/// Totals of a feed, or of all feeds that a VM ever had.
struct FeedTotals {
  std::uint64_t bytes_read = 0;
  std::uint64_t restarts = 0;  ///< The file was truncated or replaced by another one.
  std::uint64_t read_errors = 0;
  std::uint64_t mismatches = 0;  ///< `simple`: records whose arguments do not fit the catalog.
  DecoderStats decoder;

  FeedTotals& operator+=(const FeedTotals& other);
};

/// Reads a trace file as it grows and gives its records to a sink. One thread.
class TraceFeed {
 public:
  /// A file of ours, followed from its beginning; what was read is given back to the file system.
  /// `simple` records from before `not_before_ns` (CLOCK_MONOTONIC) are not counted as events.
  TraceFeed(TraceFormat format, EventTable& events, TraceFile file, std::int64_t not_before_ns);
  /// Somebody else's file, followed in place, from its end if not told otherwise, and only ever
  /// read.
  TraceFeed(TraceFormat format, EventTable& events, const std::string& path,
            FileTailOptions::Start start = FileTailOptions::Start::end);
  /// A log that QEMU shares with other programs, followed from its end.
  TraceFeed(const EventTable& events, const std::string& path, LogDecoderOptions options);
  ~TraceFeed();

  /// Reads and decodes at most a megabyte or so, using `buffer` (of twice decode_bytes_max).
  /// True if more is waiting.
  bool pump(std::span<char> buffer, RecordSink& sink);

  [[nodiscard]] TraceFormat format() const { return format_; }
  [[nodiscard]] FeedTotals totals() const;
  /// Bytes that are in the file and not yet decoded, as of the last pump.
  [[nodiscard]] std::uint64_t lag_bytes() const { return tail_.lag() + rest_.size(); }
  [[nodiscard]] const FileTail& tail() const { return tail_; }
  /// Set while the file cannot be read or understood; one line.
  [[nodiscard]] const std::string& problem() const;
  /// nullptr for a file followed in place.
  [[nodiscard]] const TraceFile* file() const { return file_ ? &*file_ : nullptr; }
  /// True once the file has grown beyond `bytes` on a file system that cannot take the read part
  /// back.
  [[nodiscard]] bool outgrew(std::uint64_t bytes) const {
    return file_ && !file_->holes_supported() && tail_.size() > bytes;
  }

 private:
  void begin_stream();
  void give_back();

  TraceFormat format_;
  const EventTable& events_;
  LogDecoderOptions log_options_;
  std::optional<TraceFile> file_;
  FileTail tail_;
  std::unique_ptr<Decoder> decoder_;
  SimpleDecoder* simple_ = nullptr;  // decoder_, if it is one.
  std::string rest_;                 // Read but not yet decodable: the first part of a record.
  FeedTotals totals_;
  std::string problem_;
  bool began_ = false;
  bool skipping_line_ = false;  // An exec-log that is joined in the middle of a line.
};

}  // namespace qemon::trace
