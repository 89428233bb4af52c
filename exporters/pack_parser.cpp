// parse_pack: from YAML to a Pack, with every mistake that can be seen without a catalog.
#include <algorithm>

#include "exporters/pack.hpp"
#include "exporters/rule_parser.hpp"
#include "exporters/yaml_document.hpp"
#include "exporters/yaml_reader.hpp"

namespace qemon::exporters {
namespace {

constexpr std::size_t rules_max = 500;

std::string list(const std::vector<std::string>& names) {
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ", ") + name;
  return all.empty() ? "none" : all;
}

/// Rules of one metric must agree on its shape; their labels are put in the first one's order.
void unite(std::vector<Rule>& rules, Mistakes& mistakes) {
  std::map<std::string, const Rule*> first;
  for (auto& rule : rules) {
    const auto [found, is_first] = first.emplace(rule.metric, &rule);
    if (is_first) {
      if (rule.help.empty())
        mistakes.add(rule.line, rule.metric + ": help: is missing: say in a sentence what it is");
      continue;
    }
    const auto& wanted = found->second->shape;
    const auto by_line = rule.metric + ": differs from line " + std::to_string(found->second->line);
    auto names = rule.shape.labels;
    auto wanted_names = wanted.labels;
    std::sort(names.begin(), names.end());
    std::sort(wanted_names.begin(), wanted_names.end());
    if (rule.shape.kind != wanted.kind) {
      mistakes.add(rule.line, by_line + " in kind: one metric has one kind");
    } else if (names != wanted_names) {
      mistakes.add(rule.line, by_line + " in its labels: one metric has one set of them, here " +
                                  list(wanted.labels));
    } else {
      std::vector<LabelRule> ordered;
      for (const auto& name : wanted.labels) {
        for (auto& label : rule.labels)
          if (label.name == name) ordered.push_back(label);
      }
      rule.labels = std::move(ordered);
      rule.shape.labels = wanted.labels;
      if (!rule.lines.contains("limit")) rule.shape.limit = wanted.limit;
      if (rule.shape != wanted)
        mistakes.add(rule.line,
                     by_line + " in its buckets, unit, limit or ranges: they must be the same");
    }
  }
}

}  // namespace

std::optional<Pack> parse_pack(std::string_view text, Mistakes& mistakes) {
  const auto before = mistakes.size();
  const auto document = parse_yaml(text, mistakes);
  if (!document) return std::nullopt;
  if (!document->is_map()) {
    mistakes.add(document->line, "is no pack: it begins with version: 1 and pack: NAME");
    return std::nullopt;
  }
  refuse_other_keys(*document, {"version", "pack", "help", "decoder", "sample", "metrics"},
                    mistakes);
  Pack pack;
  pack.file = mistakes.file();
  pack.text = text;
  const auto* version = document->find("version");
  if (version == nullptr || version->scalar != "1")
    mistakes.add(version == nullptr ? 1 : version->line,
                 "version: must be 1, the only one there is");
  const auto* name = document->find("pack");
  if (name == nullptr || !is_pack_name(name->scalar))
    mistakes.add(name == nullptr ? 1 : name->line,
                 "pack: give a name of small letters, digits and -, for instance my-disk");
  if (name != nullptr) pack.name = name->scalar;
  const auto* help = document->find("help");
  if (help == nullptr || help->scalar.empty())
    mistakes.add(help == nullptr ? 1 : help->line, "help: say in a sentence what the pack is for");
  if (help != nullptr) pack.help = help->scalar;
  if (const auto* decoder = document->find("decoder")) {
    pack.exec_log = decoder->scalar == "exec-log";
    if (!pack.exec_log) mistakes.add(decoder->line, "decoder: write exec-log, or leave it out");
  }
  if (const auto* sample = document->find("sample")) {
    const auto sampling = parse_sampling(sample->scalar);
    if (sampling) {
      pack.sampling = *sampling;
    } else {
      mistakes.add(sample->line, "sample: " + sampling.error().detail);
    }
  }
  const auto* metrics = document->find("metrics");
  if (metrics == nullptr || !metrics->is_sequence() || metrics->items.empty() ||
      metrics->items.size() > rules_max) {
    mistakes.add(metrics == nullptr ? 1 : metrics->line, "metrics: write a list of 1 to 500 rules");
  } else {
    for (const auto& item : metrics->items) pack.rules.push_back(parse_rule(item, mistakes));
    if (mistakes.size() == before) unite(pack.rules, mistakes);
  }
  if (mistakes.size() != before) return std::nullopt;
  return pack;
}

}  // namespace qemon::exporters
