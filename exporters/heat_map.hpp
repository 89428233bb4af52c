// HeatMap: how often each range of addresses occurred, the busiest of them by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qemon::exporters {

/// Every hit is counted in exactly one series: that of its range if the range has one, else
/// `other()`. Series never go back and never go away. A range gets a series in refresh(), and
/// brings along what it counted since the last one: that was not shown under `other()` yet,
/// provided that figures are shown right after each refresh() and only then.
class HeatMap {
 public:
  /// `range_shift`: ranges are 1 << range_shift bytes. `ranges`: how many of the busiest get a
  /// series at each refresh, as long as there are fewer than `limit`.
  HeatMap(unsigned range_shift, std::size_t ranges, std::size_t limit);

  void hit(std::uint64_t address, std::uint64_t count = 1) {
    const std::uint64_t range = address >> range_shift_;
    // The next hit is most often in the same range.
    Entry& entry = range == last_range_ && last_ != none ? entries_[last_] : look_up(range, count);
    entry.recent += count;
    (entry.series != none ? series_[entry.series].count : other_) += count;
  }

  /// Gives the ranges that were busiest since the last refresh their series.
  void refresh();

  struct Series {
    std::uint64_t address = 0;  ///< Of the range's first byte.
    std::uint64_t count = 0;
  };
  [[nodiscard]] const std::vector<Series>& series() const { return series_; }
  [[nodiscard]] std::uint64_t other() const { return other_; }
  /// Hits of ranges that were not remembered, because there were too many between two refreshes
  /// (more than 65,536).
  [[nodiscard]] std::uint64_t overflow() const { return overflow_; }

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  static constexpr std::size_t entries_max = 65'536;

  struct Entry {
    std::uint64_t range = 0;
    std::uint64_t recent = 0;  // Since the last refresh.
    std::uint32_t series = none;
  };

  Entry& look_up(std::uint64_t range, std::uint64_t count);
  void fill_slots(std::size_t size);

  unsigned range_shift_;
  std::size_t ranges_;
  std::size_t limit_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;  // A power of two of them, at most half used.
  std::vector<Series> series_;
  std::uint64_t other_ = 0;
  std::uint64_t overflow_ = 0;
  Entry forgotten_;  // For ranges that are not remembered.
  std::uint64_t last_range_ = 0;
  std::uint32_t last_ = none;
};

}  // namespace qemon::exporters
