// Reads the `labels` of a pack's rule.
#pragma once

#include <vector>

#include "exporters/pack.hpp"
#include "exporters/yaml_document.hpp"

namespace qemon::exporters {

/// In the order of the file; mistakes are told.
[[nodiscard]] std::vector<LabelRule> parse_labels(const YamlNode& node, MetricKind kind,
                                                  Mistakes& mistakes);

/// Whether Prometheus takes it as a label's name and we do not use it ourselves.
[[nodiscard]] bool is_label_name(std::string_view name);

}  // namespace qemon::exporters
