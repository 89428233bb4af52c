// Helpers that read values out of a YamlNode and say what is wrong with them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "exporters/expression.hpp"
#include "exporters/mistakes.hpp"
#include "exporters/yaml_document.hpp"

namespace qemon::exporters {

/// A mistake for each key of the map that is not among `keys`, and one if it is no map. True if all
/// is well.
bool refuse_other_keys(const YamlNode& node, std::initializer_list<std::string_view> keys,
                       Mistakes& mistakes);

/// A decimal or 0x hexadecimal integer of the range that expressions have; nothing if it is none.
[[nodiscard]] std::optional<Integer> whole_number(std::string_view text);
/// The same of a node, if an int64_t can hold it.
[[nodiscard]] std::optional<std::int64_t> whole_number(const YamlNode& node);

}  // namespace qemon::exporters
