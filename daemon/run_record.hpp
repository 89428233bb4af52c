// RunRecord: what one VM's counters and histograms did during an experiment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/metric_snapshot.hpp"

namespace qemon::daemon {

struct RunLimits {
  std::size_t series = 10'000;
  std::size_t curves = 500;  ///< Series whose growth over time is kept: the first that moved.
  std::size_t points = 600;  ///< Of each curve; when there are more, every other one is dropped.
};

/// Growth is the sum of all increases, as Prometheus has it: a value that is lower than the one
/// before began at 0 again. Pure bookkeeping, owned by an Experiments.
class RunRecord {
 public:
  explicit RunRecord(RunLimits limits = {}) : limits_(limits) {}

  struct Look {
    double seconds = 0;  ///< Since the start; 0 at the first look.
    const MetricSnapshot* snapshot = nullptr;
    /// Names of families that QEMU's process counts, and not qemond: they begin at 0 when another
    /// process takes its place.
    std::set<std::string, std::less<>> of_qemu;
    std::string process;   ///< Of QEMU; empty if it is not known.
    bool is_whole = true;  ///< All that QEMU is asked for was answered: what is absent is 0.
  };
  /// The first look is what growth is counted from.
  void add(const Look& look);

  struct Series {
    bool is_histogram = false;
    double last = 0;    ///< As seen last.
    double growth = 0;  ///< Of a counter, or of a histogram's count.
    unsigned resets = 0;
    double last_sum = 0;
    double sum = 0;  ///< Growth of a histogram's sum.
    std::vector<std::pair<double, double>> last_buckets;
    std::vector<double> bounds;
    std::vector<double> buckets;  ///< Cumulative, by bound.
    unsigned process = 0;         ///< How many restarts of QEMU there were when it was seen last.
    std::optional<double> since;  ///< Growth is known from this second on only.
    std::vector<double> curve;    ///< Growth at each of `seconds()`; empty if it is not kept.
  };
  [[nodiscard]] const std::map<std::string, Series, std::less<>>& series() const { return series_; }
  /// Of the points of all curves; the first is 0.
  [[nodiscard]] const std::vector<double>& seconds() const { return seconds_; }
  /// How many times longer than at first the time from one look to the next is to be.
  [[nodiscard]] unsigned stretch() const { return stretch_; }
  /// At most as many as `series` of the limits are counted.
  [[nodiscard]] std::size_t series_left_out() const { return left_out_.size(); }
  [[nodiscard]] std::size_t curves_left_out() const;
  /// How often another QEMU process was found.
  [[nodiscard]] unsigned restarts() const { return restarts_; }
  /// Growth of the series, if it is there.
  [[nodiscard]] std::optional<double> growth(std::string_view key) const;

 private:
  static void begin(const SeriesValue& value, bool from_zero, Series& series);
  void grow(const SeriesValue& value, bool of_qemu, Series& series) const;
  void add_point(double seconds);

  RunLimits limits_;
  std::map<std::string, Series, std::less<>> series_;
  std::set<std::string, std::less<>> left_out_;
  std::vector<double> seconds_;
  std::size_t curves_ = 0;
  unsigned stretch_ = 1;
  unsigned restarts_ = 0;
  std::string process_;
  bool first_was_whole_ = true;
};

}  // namespace qemon::daemon
