// PieceReader: gives out a trace piece by piece, and can read ahead while a piece is decoded.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "base/result.hpp"
#include "trace/trace_input.hpp"

namespace qemon::trace {

/// Used by one thread. `input` is ours until we are destroyed.
class PieceReader {
 public:
  enum class Mode : std::uint8_t {
    in_turn,  ///< Reads when it is asked.
    ahead,    ///< Reads, and unpacks, in a thread of its own. Not for pipes, which may have nothing
              ///< to give for hours: the destructor waits for the read in progress.
  };

  /// In front of each piece there is room for so many bytes.
  PieceReader(TraceInput& input, Mode mode, std::size_t room);
  PieceReader(const PieceReader&) = delete;
  PieceReader& operator=(const PieceReader&) = delete;
  ~PieceReader();

  /// The next piece, empty at the end; errors as TraceInput::read gives them. The one before is
  /// given back.
  [[nodiscard]] Result<std::span<char>> next();
  /// What was read of the file up to the end of the piece in hand; see TraceInput.
  [[nodiscard]] std::uint64_t file_bytes_read() const { return slots_[in_hand_].file_bytes_read; }

 private:
  struct Slot {
    std::unique_ptr<char[]> memory;
    char* begin = nullptr;  // Of the piece.
    Result<std::size_t> got = std::size_t{0};
    std::uint64_t file_bytes_read = 0;
    bool full = false;
  };

  void run();
  void fill(Slot& slot);

  TraceInput& input_;
  std::size_t piece_bytes_;
  std::array<Slot, 3> slots_;  // Used in turn; only the first one without a thread.
  std::size_t in_hand_ = 0;    // The slot whose piece was given out last,
  bool holds_ = false;         // if one was.
  bool stopping_ = false;
  std::mutex mutex_;  // Of the slots' `full`, and of `stopping_`.
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace qemon::trace
