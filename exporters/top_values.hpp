// TopValues: the most frequent of very many values, in little memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qemon::exporters {

/// The Space-Saving algorithm (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and
/// top-k elements in data streams", 2005): `capacity` values are counted; a new one takes the place
/// of the rarest and inherits its count, which is then its error. So the true count of a value is
/// between count - error and count, and a value that is not here occurred at most as often as the
/// rarest that is.
class TopValues {
 public:
  explicit TopValues(std::size_t capacity);

  void hit(std::uint64_t value, std::uint64_t count = 1);

  struct Entry {
    std::uint64_t value = 0;
    std::uint64_t count = 0;
    std::uint64_t error = 0;
  };
  /// The `most` most frequent, busiest first; the smaller value first where they are equal.
  [[nodiscard]] std::vector<Entry> top(std::size_t most) const;

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  [[nodiscard]] std::size_t slot_of(std::uint64_t value) const;
  void erase_slot(std::size_t at);
  void sift_down(std::size_t at);
  void place(std::size_t at, std::uint32_t entry);

  std::size_t capacity_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> heap_;    // Entries, the rarest first.
  std::vector<std::uint32_t> places_;  // By entry: where in the heap it is.
  std::vector<std::uint32_t> slots_;   // Hash table of entries.
};

}  // namespace qemon::exporters
