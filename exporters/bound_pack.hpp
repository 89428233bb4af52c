// BoundPack: a pack made ready for the events that one VM, or one catalog, has.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/bound_rule.hpp"
#include "exporters/metric.hpp"
#include "exporters/mistakes.hpp"
#include "exporters/pack.hpp"
#include "exporters/pair_table.hpp"
#include "trace/event_table.hpp"

namespace qemon::exporters {

/// A rule that cannot be used, and why.
struct LeftOut {
  const Rule* rule = nullptr;
  std::string why;
  /// True if the VM merely lacks the events; false if the rule does not fit events that it has.
  bool lacks_events = false;
};

/// Holds pointers to the metrics that it feeds and views of nothing; the pack must outlive it.
class BoundPack {
 public:
  /// Gives the metric that a rule feeds; it outlives the BoundPack.
  using MetricOf = std::function<Metric&(const Rule&)>;

  /// Uses the rules whose events `events` has, with the descriptions of its catalog.
  BoundPack(const Pack& pack, const trace::EventTable& events, const MetricOf& metric_of);

  struct Entry {
    trace::EventIndex event = 0;
    BoundRule rule;
  };
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  /// The events that must be on, ascending, each once.
  [[nodiscard]] std::vector<trace::EventIndex> needed_events() const;
  [[nodiscard]] const std::vector<LeftOut>& left_out() const { return left_out_; }
  /// What does not fit the events, with lines of the file.
  [[nodiscard]] const Mistakes& mistakes() const { return mistakes_; }
  /// Metrics of which no rule can be used, and why.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> not_offered() const;
  /// Forgets what is in flight: all of it, or that of latencies that use `event`.
  void discard_pairs();
  void discard_pairs(trace::EventIndex event);
  [[nodiscard]] bool feeds(const Metric& metric) const;
  /// Pairs in flight that wait to be counted in `metric`.
  [[nodiscard]] std::size_t in_flight(const Metric& metric) const;

 private:
  using Chosen = std::vector<trace::EventIndex>;

  void bind(const Rule& rule, const trace::EventTable& events, const MetricOf& metric_of);
  [[nodiscard]] static Chosen choose(const std::vector<EventChoice>& choices,
                                     const trace::EventTable& events);

  Mistakes mistakes_;
  struct Latency {
    const Metric* metric;
    std::unique_ptr<PairTable> pairs;
  };
  std::vector<Latency> latencies_;
  std::vector<Entry> entries_;
  std::vector<LeftOut> left_out_;
  std::vector<std::string> offered_;
};

}  // namespace qemon::exporters
