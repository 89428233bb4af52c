// TraceRates and PluginRates: what happened since the last time, a line each.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <vector>

#include "cli/trace_replay.hpp"
#include "plugin/figures_reader.hpp"

namespace qemon::cli {

/// Of a trace that is followed: how many records, and of which events most.
class TraceRates {
 public:
  TraceRates(const TraceReplay& replay, std::ostream& out) : replay_(replay), out_(out) {}

  /// `seconds`: since the beginning.
  void print(double seconds);

 private:
  const TraceReplay& replay_;
  std::ostream& out_;
  std::vector<std::uint64_t> before_;  // By event.
  double seconds_ = 0;
  std::uint64_t lines_ = 0;
};

/// Of what a TCG plugin publishes: instructions, blocks, loads and stores of all vCPUs.
class PluginRates {
 public:
  /// `begin`: what had been counted before, `seconds` after the beginning.
  PluginRates(const plugin::Figures& begin, double seconds, std::ostream& out);

  void print(const plugin::Figures& figures, double seconds);

 private:
  struct Totals {
    std::uint64_t instructions = 0, blocks = 0, loads = 0, stores = 0;
  };
  [[nodiscard]] static Totals totals_of(const plugin::Figures& figures);

  std::ostream& out_;
  Totals before_;
  double seconds_ = 0;
  std::uint64_t lines_ = 0;
};

}  // namespace qemon::cli
