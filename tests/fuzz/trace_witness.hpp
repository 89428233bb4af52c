// What the fuzzers of decoders share: a sink that notes all it is told, and decoding at once and in
// pieces.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/engine.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "trace/decoder.hpp"
#include "trace/event_table.hpp"

namespace qemon::fuzz {

/// tests/data/catalog-7.2-excerpt.txt, parsed once.
const trace::Catalog& excerpt();
/// The events of the excerpt, with their descriptions.
void describe(trace::EventTable& events);
/// Shipped packs, parsed once.
std::vector<std::shared_ptr<const exporters::Pack>> shipped_packs(
    std::span<const std::string_view> names);
/// What a scrape would show of the engine's packs. Every series is there once.
void require_sound_metrics(exporters::Engine& engine);

/// Notes what it is told, and gives it to an engine. What it is given must lie within the bytes
/// that are being decoded.
class TraceWitness final : public trace::RecordSink {
 public:
  explicit TraceWitness(exporters::Engine* engine = nullptr) : engine_(engine) {}

  void on_record(const trace::Record& record) override;
  void on_loss(std::uint64_t count) override;

  /// Where payloads are to be from now on.
  void decoding(std::string_view bytes) { bytes_ = bytes; }
  [[nodiscard]] const std::string& notes() const { return notes_; }
  [[nodiscard]] std::uint64_t records() const { return records_; }
  [[nodiscard]] std::uint64_t losses() const { return losses_; }
  [[nodiscard]] std::uint64_t lost_events() const { return lost_events_; }

 private:
  template <typename T>
  void note(const T& value) {
    notes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void note(std::string_view text);

  exporters::Engine* engine_;
  std::string_view bytes_;
  std::string notes_;
  std::uint64_t records_ = 0;
  std::uint64_t losses_ = 0;
  std::uint64_t lost_events_ = 0;
};

/// Decodes all bytes at once. Returns how many are left over, which is to be given again.
std::size_t decode_at_once(trace::Decoder& decoder, std::string_view bytes, TraceWitness& witness);
/// The same as whoever follows a file does it: what is left over is given again, followed by more.
std::size_t decode_in_pieces(trace::Decoder& decoder, std::string_view bytes, TraceWitness& witness,
                             Choices& choices);
/// Promised by Decoder::decode(): progress if it is given decode_bytes_max. `left` is what it left
/// over; zeros follow.
void require_progress(trace::Decoder& decoder, std::string_view left, TraceWitness& witness);

/// For comparing.
std::string to_text(const trace::DecoderStats& stats);

}  // namespace qemon::fuzz
