#include "exporters/label_parser.hpp"

#include <algorithm>
#include <set>

#include "exporters/yaml_reader.hpp"

namespace qemon::exporters {
namespace {

constexpr std::size_t values_max = 200;

class LabelParser {
 public:
  LabelParser(LabelRule& label, MetricKind kind, Mistakes& mistakes)
      : label_(label), kind_(kind), mistakes_(mistakes) {}

  void parse(const YamlNode& node) {
    if (node.is_scalar()) {
      label_.constant = node.scalar;
    } else if (const auto* event = node.find("event")) {
      only(node, {"event"});
      parse_event(*event);
    } else if (node.find("argument") != nullptr) {
      parse_argument(node);
    } else {
      fail(node.line, "write a constant, {event: {EVENT: VALUE}} or {argument: NAME}");
    }
  }

 private:
  void parse_event(const YamlNode& node) {
    if (node.is_scalar() && node.scalar == "name") {
      label_.source = LabelRule::Source::event_name;
      return;
    }
    label_.source = LabelRule::Source::by_event;
    if (!node.is_map() || node.entries.empty())
      return fail(node.line, "event: write {EVENT: VALUE, ...}, or the word name");
    for (const auto& entry : node.entries) {
      if (!entry.value.is_scalar()) fail(entry.line, entry.key + ": should be a word");
      label_.by_event.emplace(entry.key, entry.value.scalar);
    }
  }

  void parse_argument(const YamlNode& node) {
    label_.source = LabelRule::Source::argument;
    if (kind_ == MetricKind::latency) {
      only(node, {"argument", "decode", "values", "from"});
    } else {
      only(node, {"argument", "decode", "values"});
    }
    auto expression = Expression::parse(node.find("argument")->scalar);
    if (expression) {
      label_.argument = std::move(*expression);
    } else {
      fail(node.find("argument")->line, "argument: " + expression.error().detail);
    }
    if (const auto* from = node.find("from")) {
      label_.from_end = from->scalar == "end";
      if (!label_.from_end && from->scalar != "begin") fail(from->line, "from: write begin or end");
    }
    if (const auto* decode = node.find("decode")) parse_decode(*decode);
    if (const auto* values = node.find("values")) parse_values(*values);
  }

  void parse_decode(const YamlNode& node) {
    using Decode = LabelRule::Decode;
    if (node.is_scalar() && node.scalar == "decimal") {
      label_.decode = Decode::decimal;
    } else if (node.is_scalar() && node.scalar == "hex") {
      label_.decode = Decode::hex;
    } else if (node.is_scalar() && node.scalar == "size") {
      label_.decode = Decode::size;
    } else if (const auto* bits = node.find("bits")) {
      only(node, {"bits"});
      parse_bits(*bits);
    } else if (const auto* map = node.find("map")) {
      only(node, {"map", "default"});
      parse_map(*map);
      if (const auto* other = node.find("default")) label_.map_default = other->scalar;
    } else {
      fail(node.line,
           "decode: write decimal, hex, size, {map: {VALUE: NAME}} or {bits: {from: 0, count: 3}}");
    }
  }

  void parse_bits(const YamlNode& node) {
    label_.decode = LabelRule::Decode::bits;
    if (!node.is_map()) return fail(node.line, "bits: write {from: 0, count: 3}");
    if (!only(node, {"from", "count"})) return;
    const auto from = number_of(node, "from").value_or(-1);
    const auto count = number_of(node, "count").value_or(-1);
    if (from < 0 || from > 63 || count < 1 || count > 64 - from)
      return fail(node.line, "bits: from and count must lie within 64 bits");
    label_.bits_from = static_cast<unsigned>(from);
    label_.bits_count = static_cast<unsigned>(count);
  }

  static std::optional<std::int64_t> number_of(const YamlNode& node, std::string_view key) {
    const auto* found = node.find(key);
    return found == nullptr ? std::nullopt : whole_number(*found);
  }

  void parse_map(const YamlNode& node) {
    label_.decode = LabelRule::Decode::map;
    if (!node.is_map() || node.entries.empty())
      return fail(node.line, "map: write {VALUE: NAME, ...}");
    std::set<Integer> numbers;
    for (const auto& entry : node.entries) {
      if (!entry.value.is_scalar()) fail(entry.line, entry.key + ": should be a word");
      label_.map.emplace(entry.key, entry.value.scalar);
      const auto number = whole_number(entry.key);
      if (number && !numbers.insert(*number).second)
        fail(entry.line, entry.key + ": is given twice");
    }
  }

  void parse_values(const YamlNode& node) {
    if (label_.decode == LabelRule::Decode::map)
      return fail(node.line, "values: those of a map are known already");
    if (!node.is_sequence() || node.items.empty() || node.items.size() > values_max)
      return fail(node.line, "values: write a list of 1 to 200 values");
    for (const auto& item : node.items) {
      if (!item.is_scalar()) fail(item.line, "values: should be words or numbers");
      label_.values.push_back(item.scalar);
    }
  }

  bool only(const YamlNode& node, std::initializer_list<std::string_view> keys) {
    return refuse_other_keys(node, keys, mistakes_);
  }
  void fail(int line, std::string_view why) {
    mistakes_.add(line, "labels: " + label_.name + ": " + std::string(why));
  }

  LabelRule& label_;
  MetricKind kind_;
  Mistakes& mistakes_;
};

}  // namespace

bool is_label_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 64 && (name.front() < '0' || name.front() > '9') &&
         std::all_of(name.begin(), name.end(), plain) && !name.starts_with("__") && name != "vm" &&
         name != "le" && name != "quantile";
}

std::vector<LabelRule> parse_labels(const YamlNode& node, MetricKind kind, Mistakes& mistakes) {
  std::vector<LabelRule> labels;
  if (!node.is_map()) {
    mistakes.add(node.line, "labels: write {NAME: VALUE, ...}");
    return labels;
  }
  if (node.entries.size() > labels_max)
    mistakes.add(node.line, "labels: at most 6, since every combination of values is a series");
  for (const auto& entry : node.entries) {
    if (!is_label_name(entry.key)) {
      mistakes.add(entry.line,
                   "labels: \"" + entry.key +
                       "\" cannot be a label: use letters, digits and _, and not vm, le, "
                       "quantile or __ in front");
    }
    LabelRule label;
    label.name = entry.key;
    label.line = entry.line;
    LabelParser(label, kind, mistakes).parse(entry.value);
    labels.push_back(std::move(label));
  }
  return labels;
}

}  // namespace qemon::exporters
