// Buckets: the upper bounds of a histogram, as integers.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "exporters/mistakes.hpp"

namespace qemon::exporters {

struct YamlNode;

/// What the integers of a metric are, and what the metric shows.
enum class Unit : std::uint8_t { none, nanoseconds, microseconds, milliseconds };
/// How many of the unit are one of what is shown: 1, or how many make a second.
[[nodiscard]] std::int64_t per_shown(Unit unit);

/// At most this many bounds: each series has as many counters, and Prometheus as many series.
inline constexpr std::size_t bounds_max = 100;

/// Ascending upper bounds, in the unit of the values that are observed; beyond the last is +Inf.
struct Buckets {
  std::vector<std::int64_t> bounds;

  bool operator==(const Buckets&) const = default;
};

/// Finds the bucket of a value. Bounds mostly grow by a factor, so those that begin with the same
/// power of two are few, and going through them is faster than halving, which no processor can
/// predict.
class BucketFinder {
 public:
  explicit BucketFinder(const Buckets& buckets);

  /// The first bound that is not less than `value`; how many there are, if it is beyond all.
  [[nodiscard]] std::size_t find(std::int64_t value) const {
    std::size_t at = value > 0 ? first_[std::bit_width(static_cast<std::uint64_t>(value))] : 0;
    while (at < bounds_.size() && bounds_[at] < value) ++at;
    return at;
  }

 private:
  std::vector<std::int64_t> bounds_;
  std::array<std::uint8_t, 65> first_{};  ///< By bit width: where its smallest value is counted.
};

/// 10 us to 5 s in 1-2-5 steps, in nanoseconds.
[[nodiscard]] Buckets default_latency_buckets();

/// Reads what a pack says; see docs/packs.md. Numbers are in what is shown (seconds, with a unit)
/// and must come out as whole units.
[[nodiscard]] Buckets parse_buckets(const YamlNode& node, Unit unit, Mistakes& mistakes);

}  // namespace qemon::exporters
