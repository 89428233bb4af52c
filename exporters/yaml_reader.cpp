#include "exporters/yaml_reader.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

namespace qemon::exporters {

bool refuse_other_keys(const YamlNode& node, std::initializer_list<std::string_view> keys,
                       Mistakes& mistakes) {
  std::string all;
  for (const auto key : keys) all += (all.empty() ? "" : ", ") + std::string(key);
  if (!node.is_map()) {
    const std::string what = node.is_scalar()     ? "\"" + node.scalar + "\" is no map: it "
                             : node.is_sequence() ? "a list is no map: it "
                                                  : "";
    mistakes.add(node.line, what + "should have the keys " + all);
    return false;
  }
  bool right = true;
  for (const auto& entry : node.entries) {
    if (std::find(keys.begin(), keys.end(), entry.key) != keys.end()) continue;
    const auto guess = did_you_mean(entry.key, std::vector<std::string_view>(keys));
    mistakes.add(entry.line, entry.key + ": there is no such key here:" +
                                 (guess.empty() ? " the keys are " + all : guess));
    right = false;
  }
  return right;
}

std::optional<Integer> whole_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  const auto number = negative ? -Integer{value} : Integer{value};
  if (number < integer_min) return std::nullopt;
  return number;
}

std::optional<std::int64_t> whole_number(const YamlNode& node) {
  const auto number = node.is_scalar() ? whole_number(node.scalar) : std::nullopt;
  if (!number || *number > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  return static_cast<std::int64_t>(*number);
}

}  // namespace qemon::exporters
