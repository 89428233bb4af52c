#include "exporters/heat_map.hpp"

#include <algorithm>

namespace qemon::exporters {
namespace {

std::size_t hash_range(std::uint64_t range) {
  return static_cast<std::size_t>((range * 0x9e3779b97f4a7c15) >> 32U);
}

}  // namespace

HeatMap::HeatMap(unsigned range_shift, std::size_t ranges, std::size_t limit)
    : range_shift_(range_shift), ranges_(std::min(ranges, limit)), limit_(limit) {}

HeatMap::Entry& HeatMap::look_up(std::uint64_t range, std::uint64_t count) {
  if (slots_.size() < (entries_.size() + 1) * 2)
    fill_slots(std::max<std::size_t>(slots_.size() * 2, 64));
  std::size_t at = hash_range(range) & (slots_.size() - 1);
  for (; slots_[at] != none; at = (at + 1) & (slots_.size() - 1)) {
    if (entries_[slots_[at]].range != range) continue;
    last_range_ = range;
    last_ = slots_[at];
    return entries_[last_];
  }
  if (entries_.size() == entries_max) {
    overflow_ += count;
    return forgotten_;
  }
  last_range_ = range;
  last_ = static_cast<std::uint32_t>(entries_.size());
  slots_[at] = last_;
  return entries_.emplace_back(Entry{range, 0, none});
}

void HeatMap::fill_slots(std::size_t size) {
  slots_.assign(size, none);
  for (std::uint32_t entry = 0; entry < entries_.size(); ++entry) {
    std::size_t at = hash_range(entries_[entry].range) & (slots_.size() - 1);
    while (slots_[at] != none) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = entry;
  }
}

void HeatMap::refresh() {
  std::vector<std::uint32_t> busiest;
  for (std::uint32_t entry = 0; entry < entries_.size(); ++entry)
    if (entries_[entry].recent > 0) busiest.push_back(entry);
  const auto count = std::min(busiest.size(), ranges_);
  std::partial_sort(busiest.begin(), busiest.begin() + static_cast<std::ptrdiff_t>(count),
                    busiest.end(), [&](std::uint32_t a, std::uint32_t b) {
                      // By address where they are equal, so that the same trace gives the same
                      // answer.
                      return entries_[a].recent != entries_[b].recent
                                 ? entries_[a].recent > entries_[b].recent
                                 : entries_[a].range < entries_[b].range;
                    });
  for (std::size_t i = 0; i < count && series_.size() < limit_; ++i) {
    Entry& entry = entries_[busiest[i]];
    if (entry.series != none) continue;
    entry.series = static_cast<std::uint32_t>(series_.size());
    series_.push_back({entry.range << range_shift_, entry.recent});
    other_ -= entry.recent;
  }
  // The others have nothing to bring along any more, and make room for ranges that come later.
  std::erase_if(entries_, [](const Entry& entry) { return entry.series == none; });
  for (auto& entry : entries_) entry.recent = 0;
  last_ = none;
  fill_slots(slots_.size());
}

}  // namespace qemon::exporters
