// PairTable: begin records that wait for their end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "exporters/pack.hpp"
#include "exporters/series_table.hpp"

namespace qemon::exporters {

/// What became of begins and ends. Exported as the label `outcome`.
enum class PairOutcome : std::uint8_t {
  matched,
  orphan_end,
  timed_out,
  replaced,
  over_limit,
  discarded
};
inline constexpr std::size_t pair_outcome_count = 6;
/// The label value, for instance "timed_out".
[[nodiscard]] std::string_view to_string(PairOutcome outcome);

using PairCounts = std::array<std::uint64_t, pair_outcome_count>;

/// Times of a damaged trace may be anything, so the difference wraps around instead of overflowing.
[[nodiscard]] std::int64_t elapsed_ns(std::int64_t begin_ns, std::int64_t end_ns);

/// Keyed by up to keys_max numbers, of which `key_size` are used. Bounded in number and in age;
/// what is lost is counted.
class PairTable {
 public:
  PairTable(std::size_t in_flight_max, std::int64_t timeout_ns, PairCounts& counts,
            std::size_t key_size = keys_max)
      : in_flight_max_(in_flight_max),
        timeout_ns_(timeout_ns),
        counts_(counts),
        key_size_(key_size) {}
  /// What is still in flight counts as discarded.
  ~PairTable() { discard(); }
  PairTable(const PairTable&) = delete;
  PairTable& operator=(const PairTable&) = delete;

  using Key = std::array<std::uint64_t, keys_max>;
  struct Pair {
    Key key{};
    std::int64_t begin_ns = 0;
    std::array<LabelCode, labels_max> labels{};  ///< Those of the begin event; others unspecified.
    std::uint32_t series = SeriesTable::none;    ///< If the begin alone tells it; then no labels.

   private:
    friend class PairTable;
    std::uint32_t older_ = 0, newer_ = 0;  // By time of begin; `newer_` links free ones as well.
  };

  /// A begin at `now_ns`; the caller fills in its labels or its series. nullptr if there are too
  /// many in flight. Valid until the next call.
  [[nodiscard]] Pair* begin(const Key& key, std::int64_t now_ns);
  /// The begin that an end at `now_ns` belongs to, which is then no longer in flight; its labels
  /// are the caller's to fill up. nullptr for an orphan. The caller counts the match. Valid until
  /// the next call.
  [[nodiscard]] Pair* end(const Key& key, std::int64_t now_ns);
  /// Forgets all that is in flight.
  void discard();

  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  void count(PairOutcome outcome) { ++counts_[static_cast<std::size_t>(outcome)]; }

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  [[nodiscard]] std::size_t hash(const Key& key) const;
  [[nodiscard]] bool equal(const Key& a, const Key& b) const;
  [[nodiscard]] std::size_t slot_of(const Key& key) const;
  void expire(std::int64_t now_ns);
  void remove(std::size_t slot);
  void link_newest(std::uint32_t pair);
  void unlink(std::uint32_t pair);
  void grow();

  std::size_t in_flight_max_;
  std::int64_t timeout_ns_;
  PairCounts& counts_;
  std::size_t key_size_;
  std::vector<Pair> pairs_;
  std::vector<std::uint32_t> slots_;  // A power of two of them, at most half used.
  std::size_t in_flight_ = 0;
  std::uint32_t oldest_ = none, newest_ = none, free_ = none;
};

}  // namespace qemon::exporters
