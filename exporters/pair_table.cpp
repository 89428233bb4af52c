#include "exporters/pair_table.hpp"

#include <algorithm>

namespace qemon::exporters {
std::int64_t elapsed_ns(std::int64_t begin_ns, std::int64_t end_ns) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(end_ns) -
                                   static_cast<std::uint64_t>(begin_ns));
}

std::string_view to_string(PairOutcome outcome) {
  switch (outcome) {
    case PairOutcome::matched:
      return "matched";
    case PairOutcome::orphan_end:
      return "orphan_end";
    case PairOutcome::timed_out:
      return "timed_out";
    case PairOutcome::replaced:
      return "replaced";
    case PairOutcome::over_limit:
      return "over_limit";
    case PairOutcome::discarded:
      return "discarded";
  }
  return "unknown";
}

PairTable::Pair* PairTable::begin(const Key& key, std::int64_t now_ns) {
  expire(now_ns);
  if (slots_.size() < (in_flight_ + 1) * 2) grow();
  auto slot = slot_of(key);
  if (slots_[slot] != none) {
    count(PairOutcome::replaced);
    remove(slot);
    slot = slot_of(key);
  } else if (in_flight_ == in_flight_max_) {
    count(PairOutcome::over_limit);
    return nullptr;
  }
  std::uint32_t at = free_;
  if (at != none) {
    free_ = pairs_[at].newer_;
  } else {
    at = static_cast<std::uint32_t>(pairs_.size());
    pairs_.emplace_back();
  }
  slots_[slot] = at;
  ++in_flight_;
  pairs_[at].key = key;
  pairs_[at].begin_ns = now_ns;
  link_newest(at);
  return &pairs_[at];
}

PairTable::Pair* PairTable::end(const Key& key, std::int64_t now_ns) {
  expire(now_ns);
  const auto slot = slots_.empty() ? 0 : slot_of(key);
  if (slots_.empty() || slots_[slot] == none) {
    count(PairOutcome::orphan_end);
    return nullptr;
  }
  Pair& pair = pairs_[slots_[slot]];
  remove(slot);
  return &pair;
}

void PairTable::discard() {
  counts_[static_cast<std::size_t>(PairOutcome::discarded)] += in_flight_;
  std::fill(slots_.begin(), slots_.end(), none);
  pairs_.clear();
  in_flight_ = 0;
  oldest_ = newest_ = free_ = none;
}

/// Records are nearly in the order of their times, so those that began first are the oldest.
void PairTable::expire(std::int64_t now_ns) {
  while (oldest_ != none && elapsed_ns(pairs_[oldest_].begin_ns, now_ns) > timeout_ns_) {
    count(PairOutcome::timed_out);
    remove(slot_of(pairs_[oldest_].key));
  }
}

std::size_t PairTable::hash(const Key& key) const {
  constexpr std::uint64_t factor = 0x9e3779b97f4a7c15;
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < key_size_; ++i) {
    hash = (hash ^ key[i]) * factor;
    hash ^= hash >> 32U;
  }
  return static_cast<std::size_t>(hash);
}

bool PairTable::equal(const Key& a, const Key& b) const {
  bool same = true;
  for (std::size_t i = 0; i < key_size_; ++i) same &= a[i] == b[i];
  return same;
}

/// Where `key` is, or where it would be put.
std::size_t PairTable::slot_of(const Key& key) const {
  const auto mask = slots_.size() - 1;
  std::size_t at = hash(key) & mask;
  while (slots_[at] != none && !equal(pairs_[slots_[at]].key, key)) at = (at + 1) & mask;
  return at;
}

/// Ends the flight of the pair in `slot`, and moves up those that had to go behind it.
void PairTable::remove(std::size_t slot) {
  const auto pair = slots_[slot];
  unlink(pair);
  pairs_[pair].newer_ = free_;
  free_ = pair;
  --in_flight_;
  const auto mask = slots_.size() - 1;
  slots_[slot] = none;
  for (std::size_t next = (slot + 1) & mask; slots_[next] != none; next = (next + 1) & mask) {
    const auto home = hash(pairs_[slots_[next]].key) & mask;
    if (((next - home) & mask) < ((next - slot) & mask)) continue;
    slots_[slot] = slots_[next];
    slots_[next] = none;
    slot = next;
  }
}

void PairTable::link_newest(std::uint32_t pair) {
  pairs_[pair].older_ = newest_;
  pairs_[pair].newer_ = none;
  if (newest_ != none) pairs_[newest_].newer_ = pair;
  newest_ = pair;
  if (oldest_ == none) oldest_ = pair;
}

void PairTable::unlink(std::uint32_t pair) {
  const auto older = pairs_[pair].older_, newer = pairs_[pair].newer_;
  (older != none ? pairs_[older].newer_ : oldest_) = newer;
  (newer != none ? pairs_[newer].older_ : newest_) = older;
}

void PairTable::grow() {
  slots_.assign(std::max<std::size_t>(slots_.size() * 2, 64), none);
  for (auto pair = oldest_; pair != none; pair = pairs_[pair].newer_)
    slots_[slot_of(pairs_[pair].key)] = pair;
}

}  // namespace qemon::exporters
