// ReplayReport: what `qemon replay` shows of what was read, as tables, for Prometheus and as JSON.
#pragma once

#include <prometheus/metric_family.h>

#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli/trace_replay.hpp"

namespace qemon::cli {

/// A view of a replay, made when everything is read; the replay must outlive it.
class ReplayReport {
 public:
  /// `vm`: the value of the label vm. `seconds`: how long reading took.
  ReplayReport(TraceReplay& replay, std::string vm, double seconds);

  /// Summary, events, and a table for each metric.
  void print_tables(std::ostream& out) const;
  /// The text of /metrics, with the summary as comments in front.
  void print_prometheus(std::ostream& out) const;
  [[nodiscard]] nlohmann::ordered_json to_json() const;

  /// An event that occurred.
  struct Event {
    std::string name;
    std::uint64_t count = 0;
  };

 private:
  /// Names and values, in the words of a person.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> summary() const;
  [[nodiscard]] std::vector<prometheus::MetricFamily> trace_families() const;
  [[nodiscard]] std::vector<prometheus::MetricFamily> pack_families() const;
  void print_events(std::ostream& out) const;
  [[nodiscard]] nlohmann::ordered_json summary_json() const;
  /// 0 if the trace has no times, or only one.
  [[nodiscard]] double span_seconds() const;

  TraceReplay& replay_;
  std::string vm_;
  double seconds_;
  std::vector<Event> events_;  // The most frequent first.
};

}  // namespace qemon::cli
