// Which entry of the published blocks is that of a translated block.
#pragma once

#include <pthread.h>

#include <cstdint>

#include "plugin/figures_file.hpp"

namespace qemon::plugin {

/// A block that is translated again, at the same address and of as many instructions, has the entry
/// that it had. Entries are never given up. Any thread may call.
class BlockTable {
 public:
  /// False if there is no memory for the index.
  [[nodiscard]] bool begin(const FiguresFile& file, std::uint64_t capacity);
  /// The entry of such a block, made by `describe` (which is called with an empty Block) if it is
  /// new; null if there is no room.
  template <typename Describe>
  [[nodiscard]] Block* find_or_add(std::uint64_t address, std::uint32_t instructions,
                                   Describe describe) {
    pthread_mutex_lock(&mutex_);
    std::uint32_t& place = place_of(address, instructions);
    Block* block = place != 0 ? &file_.blocks[place - 1] : nullptr;
    if (block == nullptr && count_ < capacity_) {
      block = &file_.blocks[count_];
      block->address = address;
      block->instructions = instructions;
      describe(*block);
      place = ++count_;
      publish_count();
    }
    pthread_mutex_unlock(&mutex_);
    return block;
  }

 private:
  /// Where the index of a block is, plus 1; or where it is to be put, which is 0.
  [[nodiscard]] std::uint32_t& place_of(std::uint64_t address, std::uint32_t instructions);
  void publish_count() const;

  FiguresFile file_;
  std::uint32_t* index_ = nullptr;  ///< Open addressing, at most half full.
  std::uint64_t index_mask_ = 0;
  std::uint64_t capacity_ = 0;  ///< Not that of the file, which others may write.
  std::uint32_t count_ = 0;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

}  // namespace qemon::plugin
