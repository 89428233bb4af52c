// TraceInput: reads a finished trace from its first byte to its last, compressed or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qemon::trace {

/// A file, or standard input if its path is "-". Gzip is taken apart on the way, also several
/// members in a row, which is what `cat a.gz b.gz` makes. Errors are one line with the name of the
/// file and the cure. Memory is bounded by a few MiB. Not thread-safe.
class TraceInput {
 public:
  enum class Format : std::uint8_t { simple, log };

  /// Opens the file and looks at its first bytes; waits for them if it is a pipe.
  [[nodiscard]] static Result<TraceInput> open(const std::string& path);
  TraceInput(TraceInput&&) noexcept;
  TraceInput& operator=(TraceInput&&) noexcept;
  ~TraceInput();

  /// Reads the next bytes, at most `into.size()`, which should not be small; 0 at the end. An
  /// Error comes after all bytes that could be read before it, and again at every further call.
  [[nodiscard]] Result<std::size_t> read(std::span<char> into);

  /// What the first bytes look like; nothing if there are none. Only a `simple` file can be told:
  /// everything else passes for a log.
  [[nodiscard]] std::optional<Format> format() const { return format_; }
  [[nodiscard]] bool compressed() const { return inflater_ != nullptr; }
  /// The path, or "standard input".
  [[nodiscard]] const std::string& name() const { return name_; }
  /// What was read of the underlying file so far, and what there is to read of it: unknown for
  /// pipes. With a compressed file both are about compressed bytes.
  [[nodiscard]] std::uint64_t file_bytes_read() const { return file_bytes_read_; }
  [[nodiscard]] std::optional<std::uint64_t> file_bytes() const { return file_bytes_; }

 private:
  class Inflater;

  TraceInput(UniqueFd file, std::string name);
  [[nodiscard]] Result<void> look_at_head();
  [[nodiscard]] Result<std::size_t> read_file(std::span<char> into);
  [[nodiscard]] Result<std::size_t> read_plain(std::span<char> into);
  [[nodiscard]] Result<std::size_t> read_compressed(std::span<char> into);
  [[nodiscard]] Result<bool> refill();

  UniqueFd file_;
  std::string name_;
  std::optional<Format> format_;
  std::uint64_t file_bytes_read_ = 0;
  std::optional<std::uint64_t> file_bytes_;
  std::unique_ptr<Inflater> inflater_;

  std::vector<char> raw_;  // Read from the file; plain files are read past it after their head.
  std::span<const char> rest_;  // What of raw_ is not used yet.
  std::string head_;            // Looked at, but not given out yet.
  std::optional<Error> failure_;
};

}  // namespace qemon::trace
