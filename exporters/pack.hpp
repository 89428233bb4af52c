// Pack: a named bundle of trace events and of the metrics that are made of their arguments, as its
// file says it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sampling.hpp"
#include "exporters/buckets.hpp"
#include "exporters/expression.hpp"
#include "exporters/mistakes.hpp"

namespace qemon::exporters {

enum class MetricKind : std::uint8_t { counter, gauge, histogram, latency, heatmap, topk };
/// As packs write it, for instance "heatmap".
[[nodiscard]] std::string_view to_string(MetricKind kind);

/// Where a label's value comes from.
struct LabelRule {
  enum class Source : std::uint8_t { constant, event_name, by_event, argument };
  enum class Decode : std::uint8_t { none, decimal, hex, size, bits, map };

  std::string name;
  int line = 0;
  Source source = Source::constant;
  std::string constant;
  std::map<std::string, std::string> by_event;
  Expression argument;
  bool from_end = false;  ///< Of a latency: of the end event.
  Decode decode = Decode::none;
  unsigned bits_from = 0;
  unsigned bits_count = 0;
  std::map<std::string, std::string> map;  ///< Keys are numbers or strings, as they are written.
  std::optional<std::string> map_default;
  std::vector<std::string> values;  ///< That are there from the beginning.

  /// Whether records can give values that the file does not tell.
  [[nodiscard]] bool is_open() const {
    return source == Source::argument && (decode != Decode::map || !map_default);
  }
};

/// One wish for an event: the first of `names` that a VM has.
struct EventChoice {
  std::vector<std::string> names;
  int line = 0;
};

/// How a metric's values are kept and shown. Rules of one metric agree on it.
struct MetricShape {
  MetricKind kind = MetricKind::counter;
  std::vector<std::string> labels;  ///< Names, in the order of the first rule; without `vm`.
  Buckets buckets;                  ///< Of histograms and latencies.
  Unit unit = Unit::none;           ///< Of the integers; what is shown is in seconds unless none.
  std::size_t limit = 200;          ///< Most series.
  bool hex = false;                 ///< Of topk: how values are shown.
  std::size_t top = 20;             ///< Of topk.
  std::size_t capacity = 1000;      ///< Of topk.
  std::size_t ranges = 50;          ///< Of heatmap.
  unsigned range_shift = 12;        ///< Of heatmap: the ranges' size is 1 << range_shift bytes.

  bool operator==(const MetricShape&) const = default;
};

/// One entry of `metrics`.
struct Rule {
  enum class Keep : std::uint8_t { last, min, max };

  std::string metric;
  std::string help;  ///< Empty in a further rule of the same metric.
  int line = 0;
  MetricShape shape;
  std::vector<EventChoice> events;  ///< Of a latency: those that begin.
  std::vector<EventChoice> ends;    ///< Of a latency.
  std::optional<Expression> when;
  std::optional<Expression> end_when;
  Expression value;  ///< add, value, observe or address.
  std::vector<Expression> key;
  std::vector<Expression> end_key;  ///< Of the end events, if it is written differently there.
  std::vector<LabelRule> labels;    ///< In the order of shape.labels.
  Keep keep = Keep::last;
  std::int64_t timeout_ns = 30'000'000'000;
  std::size_t in_flight_max = 65'536;
  std::map<std::string, int> lines;  ///< Of its keys.

  /// The line of one of its keys, or of the rule if that is left out.
  [[nodiscard]] int line_of(const std::string& of_key) const;
};

inline constexpr std::size_t labels_max = 6;
inline constexpr std::size_t keys_max = 4;

/// A pack as parsed. Immutable and shared by the library and the engines that use it.
struct Pack {
  std::string name;
  std::string help;
  std::string file;                  ///< As it is shown to people.
  std::string text;                  ///< The whole file.
  bool exec_log = false;             ///< Its events are those of trace::ExecLogDecoder.
  std::optional<Sampling> sampling;  ///< Of its events, if whoever switches it on says nothing.
  std::vector<Rule> rules;

  /// The rules' metrics, each once, in the order of the file; the pointer is to the first rule.
  [[nodiscard]] std::vector<const Rule*> metrics() const;
};

/// Parses the text of a pack. All mistakes that can be seen without a catalog are told; then there
/// is no pack.
[[nodiscard]] std::optional<Pack> parse_pack(std::string_view text, Mistakes& mistakes);

/// Whether a pack may be called so.
[[nodiscard]] bool is_pack_name(std::string_view name);

}  // namespace qemon::exporters
