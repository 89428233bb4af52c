// Reads one entry of a pack's `metrics`.
#pragma once

#include "exporters/pack.hpp"
#include "exporters/yaml_document.hpp"

namespace qemon::exporters {

/// Every mistake that can be seen in the entry alone is told; then the rule is not to be used.
[[nodiscard]] Rule parse_rule(const YamlNode& node, Mistakes& mistakes);

}  // namespace qemon::exporters
