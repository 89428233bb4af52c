// Quantiles of histograms, estimated as Prometheus does.
#pragma once

#include <prometheus/client_metric.h>

namespace qemon::exporters {

/// The value below which the part `q` (0 to 1) of the observations lies, estimated as Prometheus'
/// histogram_quantile() does; NaN without observations. Infinite if it is beyond the last bound.
[[nodiscard]] double quantile(const prometheus::ClientMetric::Histogram& histogram, double q);

}  // namespace qemon::exporters
