// SimpleDecoder: turns the bytes of QEMU's `simple` trace files (version 4) into records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "trace/decoder.hpp"
#include "trace/simple_stream.hpp"

namespace qemon::trace {

struct SimpleDecoderOptions {
  /// Records older than this are counted as stale and not given to the sink: while its trace file
  /// is off, QEMU keeps what enabled events write in a ring, and after `trace-file on` that comes
  /// first.
  std::int64_t not_before_ns = std::numeric_limits<std::int64_t>::min();
};

/// Promises about damage (missing bytes after a full disk, foreign bytes in between, flipped bits):
/// * A record is counted whenever its own head of 32 bytes is intact: type 1, a mapped event id, a
///   possible length, the process id of the records before it, and a time near theirs. (The first
///   record of a stream has to agree with a record that follows it within 16 KiB instead.)
/// * Its arguments are given out only if nothing speaks against them: they fill the record exactly
///   as the catalog declares them, and what follows begins like a record, or the data ends there.
///   A record that was cut short, and whose length therefore reaches into its neighbours, is thus
///   counted by name and adds no wrong value.
/// * After damage, decoding goes on at the next place that looks like a record of this stream. Each
///   run of damage counts one resync and one error, adds its bytes to `lost_bytes`, and tells the
///   sink of a loss.
/// * Nothing can tell when the gap fits exactly: as many bytes are missing as lie between the same
///   place in two records of equal size. One record then has the beginning of the first and the
///   rest of the second.
/// * Bytes that end exactly behind a damaged record make it look sound: it is not held back to see
///   what follows, because a record has to be given out when it is written.
///
/// A `simple` header where a record should begin starts the stream anew. A stream that does not
/// begin with one is refused: its bytes are passed over until restart(), and problem() says why.
class SimpleDecoder final : public Decoder {
 public:
  /// Names from mapping records are added to `events`, which must outlive the decoder.
  explicit SimpleDecoder(EventTable& events, SimpleDecoderOptions options = {});

  std::size_t decode(std::string_view bytes, RecordSink& sink) override;
  /// Mappings and process id are forgotten when the new header comes. Bytes that decode() left over
  /// are counted as lost.
  void restart() override;
  [[nodiscard]] bool arguments(const Record& record, Arguments& into) const override;
  [[nodiscard]] const DecoderStats& stats() const override { return stats_; }

  /// For a file that is not followed from its beginning: learns from its first bytes (the header
  /// and the mappings that follow it; decode_bytes_max of them are plenty) and continues as after
  /// resume(). A hole instead of a head means resume(), once mappings are known. Fails if the bytes
  /// are no head of a trace file.
  [[nodiscard]] Result<void> read_head(std::string_view head);
  /// What decode() is given next is from the same stream, but from any place further on: the search
  /// for the first record there is no error. Also right after a `copytruncate`, when the file
  /// begins with a hole instead of a header.
  void resume();
  /// From now on, records older than `time_ns` are stale.
  void set_not_before(std::int64_t time_ns);

  /// How many records had arguments whose size does not fit the catalog, which then is not that of
  /// this QEMU. They are counted by name.
  [[nodiscard]] std::uint64_t mismatches() const { return mismatches_; }
  /// Why the stream is refused, in one line; empty when it is not.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  enum class State : std::uint8_t { start, in_sync, seeking, refused };
  using Item = SimpleStream::Item;
  using Kind = SimpleStream::Kind;
  using Verdict = SimpleStream::Verdict;

  [[nodiscard]] std::size_t decode_start(std::string_view bytes);
  [[nodiscard]] std::size_t decode_in_sync(std::string_view bytes, std::size_t at,
                                           RecordSink& sink);
  [[nodiscard]] std::size_t decode_plain_events(std::string_view bytes, RecordSink& sink);
  [[nodiscard]] std::size_t decode_record(const Item& item, const char* at, std::size_t left,
                                          RecordSink& sink);
  [[nodiscard]] bool seek(std::string_view bytes, std::size_t& at);

  void emit(const Item& item, std::string_view payload, bool sound, RecordSink& sink);
  void count_drop(std::uint64_t count, RecordSink& sink);
  void lose(Kind kind, RecordSink& sink);
  void begin_stream();
  void refuse(std::string problem);
  void count(DecodeError error);

  SimpleStream stream_;
  DecoderStats stats_;
  std::uint64_t mismatches_ = 0;
  std::string problem_;

  State state_ = State::start;
  bool counted_ = true;  ///< Whether the present search counts what it passes over.
  bool gap_ = false;     ///< The sink is still to be told that bytes are missing.
  bool sound_ = true;    ///< Whether the arguments of the record being given out may be believed.
  std::size_t left_over_ = 0;  ///< Bytes that the last decode() did not use.

  // A drop record is written before older events that were still in the ring, so while stale events
  // may come, the next event decides whether a drop belongs to them.
  std::int64_t not_before_ns_ = 0;
  bool settled_ = false;
  std::uint64_t held_drops_ = 0;
};

}  // namespace qemon::trace
