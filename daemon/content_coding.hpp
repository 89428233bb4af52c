// Which coding of a response's body a client wants, and gzip.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace qemon::daemon {

enum class ContentCoding : std::uint8_t { identity, gzip };

/// By an Accept-Encoding field, whose lines are joined by commas; empty if there is none. gzip if
/// it is acceptable and identity is not preferred. Nothing if the client takes neither.
[[nodiscard]] std::optional<ContentCoding> choose_coding(std::string_view accept_encoding);

/// Compresses one body, piece by piece.
class GzipWriter {
 public:
  GzipWriter();
  ~GzipWriter();
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  /// Takes the next piece, and adds what can be told of it already to `compressed`. As much as
  /// `piece_bytes` takes a fraction of a millisecond.
  void add(std::string_view piece, std::string& compressed) { deflate(piece, false, compressed); }
  /// Adds the rest. Nothing may be added to this writer after it.
  void finish(std::string& compressed) { deflate({}, true, compressed); }

  static constexpr std::size_t piece_bytes = std::size_t{64} * 1024;

 private:
  struct State;
  void deflate(std::string_view piece, bool last, std::string& compressed);
  std::unique_ptr<State> state_;
};

/// A body that is small enough to be compressed at once.
[[nodiscard]] std::string gzip(std::string_view body);

}  // namespace qemon::daemon
