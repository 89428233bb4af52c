// FileTail: makes one path (or one open file) look like one endless stream of bytes, whatever is
// done to the file.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qemon::trace {

struct FileTailOptions {
  enum class Start : std::uint8_t { beginning, end };
  /// Where to begin in a file that is there at the first read(). One that appears later is read
  /// from its beginning.
  Start start = Start::beginning;
  /// The file holds text: NUL bytes right behind a skipped hole belong to the hole, which ends at a
  /// block border only.
  bool text = false;
  /// A renamed or deleted file is left for the new one at its path when nothing was written to it
  /// for this long: a writer that was told to reopen may still finish a line in the old one.
  std::chrono::milliseconds quiet{200};
};

/// Polled: the caller calls read() when it wants bytes, and nothing here blocks or waits. Promises:
/// * Every byte of the stream is given out once, in order, in whatever pieces it is written.
/// * Rename, deletion: the open file is read on for as long as it grows. The stream goes over to
///   the file that is at the path once that has content and the old one is quiet; a writer that
///   never reopens its file (rotated behind its back) is therefore followed for ever.
/// * Truncation: noticed when the file is shorter than what was read, or when the last 64 bytes
///   that were read are not there any more (the file grew again between two polls). What was
///   written and truncated between two polls is lost to any reader.
/// * A file that begins with a hole (truncated under a writer without O_APPEND, or a consumed range
///   given back) is read from behind the hole.
/// Regular files only. Not thread-safe.
class FileTail {
 public:
  /// Follows `path`, which need not exist yet. Nothing is opened before the first read().
  explicit FileTail(std::string path, FileTailOptions options = {});
  /// Follows an open file that has no path (`name` is what errors call it). Moves its file
  /// position, when it has holes.
  FileTail(UniqueFd file, std::string name, FileTailOptions options = {});

  struct Chunk {
    std::size_t size = 0;
    /// A new stream begins, and the next read() gives its first bytes: after the first opening, a
    /// truncation or a replacement, as soon as there are bytes. What the caller holds undecoded of
    /// the old stream can never be completed. stream_start() says where in the file it begins.
    bool begins = false;
  };
  /// Reads up to `into.size()` bytes that were not read before. No bytes: there are no more now, or
  /// the file does not exist (is_open() tells). After an Error the next read() tries again from the
  /// same place.
  [[nodiscard]] Result<Chunk> read(std::span<char> into);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_open() const { return static_cast<bool>(file_); }
  /// The open file, for instance to read its head; -1 if there is none.
  [[nodiscard]] int fd() const { return file_.get(); }
  /// Where in the file the next byte comes from.
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  /// Where in the file the present stream began; not 0 when it was joined at its end or begins with
  /// a hole.
  [[nodiscard]] std::uint64_t stream_start() const { return stream_start_; }
  /// The file's size when last looked at; what is still to be read is `size() - offset()`.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t lag() const { return size_ > offset_ ? size_ - offset_ : 0; }
  [[nodiscard]] dev_t device() const { return device_; }
  [[nodiscard]] ino_t inode() const { return inode_; }
  [[nodiscard]] std::uint64_t truncations() const { return truncations_; }
  [[nodiscard]] std::uint64_t replacements() const { return replacements_; }

 private:
  static constexpr std::size_t fingerprint_max = 64;

  [[nodiscard]] Result<bool> open();
  [[nodiscard]] Result<void> adopt(UniqueFd file);
  [[nodiscard]] Result<void> look();
  [[nodiscard]] Result<bool> find_start();
  [[nodiscard]] Result<bool> skip_nuls();
  [[nodiscard]] Result<std::size_t> read_bytes(std::span<char> into);
  [[nodiscard]] Result<bool> still_there() const;
  [[nodiscard]] Result<bool> replace();
  void start_over();
  void remember(std::span<const char> bytes);

  std::string path_;
  FileTailOptions options_;
  bool has_path_;
  bool first_ = true;  ///< Nothing was opened yet, and the path was there at every read() so far.
  bool announced_ = false;  ///< The caller was told that the present stream begins.

  UniqueFd file_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  timespec changed_{};  ///< st_ctim when last looked at.
  std::uint64_t size_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t stream_start_ = 0;

  /// The last bytes before offset_, as far as they are of this stream.
  std::array<char, fingerprint_max> fingerprint_{};
  std::size_t fingerprint_size_ = 0;

  bool saw_successor_ = false;  ///< Another file with content is at the path, since:
  std::chrono::steady_clock::time_point successor_since_{};

  std::uint64_t truncations_ = 0;
  std::uint64_t replacements_ = 0;
};

}  // namespace qemon::trace
