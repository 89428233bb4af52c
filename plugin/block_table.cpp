#include "plugin/block_table.hpp"

#include <sys/mman.h>

#include <atomic>

namespace qemon::plugin {

bool BlockTable::begin(const FiguresFile& file, std::uint64_t capacity) {
  file_ = file;
  capacity_ = capacity;
  std::uint64_t entries = 1;
  while (entries < 2 * capacity) entries *= 2;
  // Memory that is not touched costs nothing.
  void* memory = mmap(nullptr, entries * sizeof(std::uint32_t), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  index_ = static_cast<std::uint32_t*>(memory);
  index_mask_ = entries - 1;
  return true;
}

std::uint32_t& BlockTable::place_of(std::uint64_t address, std::uint32_t instructions) {
  // Fibonacci hashing: addresses of blocks differ in their low bits.
  std::uint64_t at = ((address * 31 + instructions) * 0x9E3779B97F4A7C15ULL) >> 24;
  for (;; ++at) {
    std::uint32_t& place = index_[at & index_mask_];
    if (place == 0) return place;
    const Block& block = file_.blocks[place - 1];
    if (block.address == address && block.instructions == instructions) return place;
  }
}

void BlockTable::publish_count() const {
  std::atomic_ref(file_.header->block_count).store(count_, std::memory_order_release);
}

}  // namespace qemon::plugin
