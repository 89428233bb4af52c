// YamlNode: a YAML document as a tree that knows its lines, without the parts of YAML that nobody
// wants in a configuration.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/mistakes.hpp"

namespace qemon::exporters {

struct YamlEntry;

/// One value. Scalars stay text: what they mean is for the reader to say.
struct YamlNode {
  enum class Kind { null, scalar, sequence, map };
  Kind kind = Kind::null;
  int line = 0;                    ///< Where it begins, from 1.
  std::string scalar;              ///< Of a scalar.
  std::vector<YamlNode> items;     ///< Of a sequence.
  std::vector<YamlEntry> entries;  ///< Of a map, in the order of the file; keys differ.

  [[nodiscard]] bool is_scalar() const { return kind == Kind::scalar; }
  [[nodiscard]] bool is_sequence() const { return kind == Kind::sequence; }
  [[nodiscard]] bool is_map() const { return kind == Kind::map; }
  /// nullptr if this is no map or has no such key.
  [[nodiscard]] const YamlNode* find(std::string_view key) const;
};

struct YamlEntry {
  std::string key;
  int line = 0;
  YamlNode value;
};

/// Parses one document of at most 1 MiB. Anchors, aliases, tags, repeated keys, keys that are no
/// scalars, further documents and nesting deeper than 20 are mistakes. Returns nothing if there was
/// any.
[[nodiscard]] std::optional<YamlNode> parse_yaml(std::string_view text, Mistakes& mistakes);

}  // namespace qemon::exporters
