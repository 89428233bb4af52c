// Budget: watches what one VM's trace costs, and says which events have to go off.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "daemon/budget_settings.hpp"
#include "trace/event_table.hpp"

namespace qemon::daemon {

/// How things stand at one time. Figures are totals that never go back.
struct BudgetSample {
  struct Event {
    trace::EventIndex event = 0;
    std::uint64_t records = 0;
    bool ours = false;  ///< On because of us: it may go off.
  };

  std::chrono::steady_clock::time_point time;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t drops = 0;
  std::optional<double> lag_seconds;
  std::vector<Event> events;  ///< That are on, by index.
};

struct BudgetRates {
  double records = 0;
  double bytes = 0;
  double drops = 0;
};

/// An event that has to go off, and why, for people.
struct Trip {
  trace::EventIndex event = 0;
  std::string why;
};

/// Pure bookkeeping, owned by a Vm: told how things stand a few times a second while events are on.
/// Rates are those of the last second. When one has been beyond its limit for the grace period, the
/// events that make most records go off, until what remains fits. Against drops and lag, of which
/// it is unknown how many records are too many, one event goes off at a time.
class Budget {
 public:
  void set_limits(const BudgetLimits& limits) { limits_ = limits; }

  /// What has to go off now. Only events of ours; and none once those make next to nothing of what
  /// is too much.
  [[nodiscard]] std::vector<Trip> tick(BudgetSample sample);
  /// Other events are on than before, or none: begin anew.
  void restart();

  /// Absent for the first second.
  [[nodiscard]] std::optional<BudgetRates> rates() const { return rates_; }
  /// What is beyond its limit for longer than the grace period although nothing of ours is left
  /// that would help; else empty.
  [[nodiscard]] const std::string& exceeded_by_others() const { return exceeded_by_others_; }

 private:
  struct Cost {
    trace::EventIndex event;
    double rate;
  };

  void measure();
  [[nodiscard]] std::string excess() const;
  [[nodiscard]] bool fits(double records) const;
  [[nodiscard]] std::vector<Cost> costs() const;

  BudgetLimits limits_ = budget_limits({}, false);
  std::deque<BudgetSample> samples_;  // The oldest is a second old, if there is one.
  std::optional<BudgetRates> rates_;
  std::optional<std::chrono::steady_clock::time_point> over_since_;
  std::string exceeded_by_others_;
};

/// "1,234,567".
[[nodiscard]] std::string grouped(double number);

}  // namespace qemon::daemon
