// NotingSink: a sink that notes all it is told, and for the fuzzers of decoders, decoding into it
// at once and in pieces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "exporters/engine.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "trace/decoder.hpp"

namespace qemon::fuzz {

/// Notes what it is told, and gives it to an engine. What it is given must lie within the bytes
/// that are being decoded.
class NotingSink final : public trace::RecordSink {
 public:
  explicit NotingSink(exporters::Engine* engine = nullptr) : engine_(engine) {}

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
std::size_t decode_at_once(trace::Decoder& decoder, std::string_view bytes, NotingSink& sink);
/// The same as whoever follows a file does it: what is left over is given again, followed by more.
std::size_t decode_in_pieces(trace::Decoder& decoder, std::string_view bytes, NotingSink& sink,
                             Choices& choices);
/// Promised by Decoder::decode(): progress if it is given decode_bytes_max. `left` is what it left
/// over; zeros follow.
void require_progress(trace::Decoder& decoder, std::string_view left, NotingSink& sink);

/// For comparing.
std::string to_text(const trace::DecoderStats& stats);

}  // namespace qemon::fuzz
