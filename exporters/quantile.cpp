#include "exporters/quantile.hpp"

#include <cmath>
#include <limits>

namespace qemon::exporters {

double quantile(const prometheus::ClientMetric::Histogram& histogram, double q) {
  if (histogram.sample_count == 0) return std::numeric_limits<double>::quiet_NaN();
  const double rank = q * static_cast<double>(histogram.sample_count);
  double below = 0;
  double lower_bound = 0;
  for (const auto& bucket : histogram.bucket) {
    const auto count = static_cast<double>(bucket.cumulative_count);
    if (count >= rank && count > below) {
      if (std::isinf(bucket.upper_bound)) return bucket.upper_bound;
      // Prometheus, too, takes a first bound above 0 for one of values that are not negative.
      if (below == 0 && bucket.upper_bound <= 0) return bucket.upper_bound;
      return lower_bound + (bucket.upper_bound - lower_bound) * (rank - below) / (count - below);
    }
    below = count;
    lower_bound = bucket.upper_bound;
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace qemon::exporters
