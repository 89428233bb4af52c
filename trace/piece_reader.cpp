#include "trace/piece_reader.hpp"

namespace qemon::trace {
namespace {

// What is decoded at once is still in the processor's cache if the pieces are small; handing over
// takes its time if they are.
constexpr std::size_t bytes_in_turn = std::size_t{128} * 1024;
constexpr std::size_t bytes_ahead = std::size_t{1024} * 1024;
constexpr std::size_t page_bytes = 4096;

}  // namespace

PieceReader::PieceReader(TraceInput& input, Mode mode, std::size_t room)
    : input_(input), piece_bytes_(mode == Mode::in_turn ? bytes_in_turn : bytes_ahead) {
  for (auto& slot : slots_) {
    // Not filled with zeros: that would take as long as reading it. The kernel copies to the
    // beginning of a page a quarter faster than to any other place.
    std::size_t size = room + piece_bytes_ + page_bytes;
    slot.memory.reset(new char[size]);
    void* begin = slot.memory.get() + room;
    size -= room;
    slot.begin = static_cast<char*>(std::align(page_bytes, piece_bytes_, begin, size));
    if (mode == Mode::in_turn) return;
  }
  thread_ = std::thread([this] { run(); });
}

PieceReader::~PieceReader() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void PieceReader::fill(Slot& slot) {
  slot.got = input_.read({slot.begin, piece_bytes_});
  slot.file_bytes_read = input_.file_bytes_read();
}

void PieceReader::run() {
  for (std::size_t at = 0;; at = (at + 1) % slots_.size()) {
    Slot& slot = slots_[at];
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !slot.full; });
      if (stopping_) return;
    }
    fill(slot);
    const bool last = !slot.got || *slot.got == 0;
    {
      const std::lock_guard lock(mutex_);
      slot.full = true;
    }
    changed_.notify_all();
    if (last) return;
  }
}

Result<std::span<char>> PieceReader::next() {
  if (!thread_.joinable()) {
    fill(slots_[0]);
  } else {
    std::unique_lock lock(mutex_);
    const bool ended = holds_ && (!slots_[in_hand_].got || *slots_[in_hand_].got == 0);
    if (holds_ && !ended) {  // The end is given again and again.
      slots_[in_hand_].full = false;
      in_hand_ = (in_hand_ + 1) % slots_.size();
      changed_.notify_all();
    }
    holds_ = true;
    changed_.wait(lock, [&] { return slots_[in_hand_].full; });
  }
  const Slot& slot = slots_[in_hand_];
  if (!slot.got) return slot.got.error();
  return std::span(slot.begin, *slot.got);
}

}  // namespace qemon::trace
