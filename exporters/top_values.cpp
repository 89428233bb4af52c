#include "exporters/top_values.hpp"

#include <algorithm>
#include <bit>

namespace qemon::exporters {
namespace {

std::size_t hash_value(std::uint64_t value) {
  return static_cast<std::size_t>((value * 0x9e3779b97f4a7c15) >> 32U);
}

}  // namespace

TopValues::TopValues(std::size_t capacity)
    : capacity_(capacity), slots_(std::bit_ceil(capacity * 2 + 2), none) {}

std::size_t TopValues::slot_of(std::uint64_t value) const {
  std::size_t at = hash_value(value) & (slots_.size() - 1);
  while (slots_[at] != none && entries_[slots_[at]].value != value)
    at = (at + 1) & (slots_.size() - 1);
  return at;
}

void TopValues::hit(std::uint64_t value, std::uint64_t count) {
  auto at = slot_of(value);
  if (slots_[at] != none) {
    const auto entry = slots_[at];
    entries_[entry].count += count;
    return sift_down(places_[entry]);
  }
  if (entries_.size() < capacity_) {
    const auto entry = static_cast<std::uint32_t>(entries_.size());
    entries_.push_back({value, count, 0});
    slots_[at] = entry;
    // Up, until what is above it is no more frequent.
    heap_.push_back(entry);
    places_.push_back(entry);
    for (std::size_t i = heap_.size() - 1; i > 0; i = (i - 1) / 2) {
      const auto parent = heap_[(i - 1) / 2];
      if (entries_[parent].count <= count) break;
      place(i, parent);
      place((i - 1) / 2, entry);
    }
    return;
  }
  const auto entry = heap_.front();
  erase_slot(slot_of(entries_[entry].value));
  slots_[slot_of(value)] = entry;
  entries_[entry] = {value, entries_[entry].count + count, entries_[entry].count};
  sift_down(0);
}

/// Takes an entry out of the hash table and moves up those that had to go behind it.
void TopValues::erase_slot(std::size_t at) {
  const auto mask = slots_.size() - 1;
  slots_[at] = none;
  for (std::size_t next = (at + 1) & mask; slots_[next] != none; next = (next + 1) & mask) {
    const auto home = hash_value(entries_[slots_[next]].value) & mask;
    if (((next - home) & mask) < ((next - at) & mask)) continue;
    slots_[at] = slots_[next];
    slots_[next] = none;
    at = next;
  }
}

void TopValues::place(std::size_t at, std::uint32_t entry) {
  heap_[at] = entry;
  places_[entry] = static_cast<std::uint32_t>(at);
}

void TopValues::sift_down(std::size_t at) {
  const auto entry = heap_[at];
  while (true) {
    std::size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && entries_[heap_[child + 1]].count < entries_[heap_[child]].count)
      ++child;
    if (entries_[heap_[child]].count >= entries_[entry].count) break;
    place(at, heap_[child]);
    at = child;
  }
  place(at, entry);
}

std::vector<TopValues::Entry> TopValues::top(std::size_t most) const {
  auto sorted = entries_;
  const auto count = std::min(most, sorted.size());
  std::partial_sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count),
                    sorted.end(), [](const Entry& a, const Entry& b) {
                      return a.count != b.count ? a.count > b.count : a.value < b.value;
                    });
  sorted.resize(count);
  return sorted;
}

}  // namespace qemon::exporters
