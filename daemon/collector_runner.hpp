// CollectorRunner: polls one VM's collectors, each at its own pace, and keeps what they found.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "daemon/collector.hpp"
#include "daemon/config.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

/// Owned by a Vm; its coroutines are called by the Vm's session only. Commands run on QEMU's main
/// loop, which is the guest's as well, so one collector is polled at a time, the first polls are
/// spread over their intervals, and one that takes long waits longer for its next turn.
///
/// What a collector found is kept until its next poll. When one fails, its gauges are gone, because
/// they may not be true any more; its counters stay as they were while the VM is attached.
class CollectorRunner {
 public:
  using Clock = std::chrono::steady_clock;

  CollectorRunner();

  /// What is told of collectors by name; others are as they are by default.
  void configure(const std::map<std::string, CollectorSettings>& settings);
  /// A monitor session begins. `seed` differs from VM to VM.
  void begin_session(std::set<std::string> commands, bool has_process, std::size_t seed);
  /// The session is over: nothing is known any more.
  void end_session();
  /// The monitor does not answer: gauges may not be true any more.
  void doubt();

  /// When the next poll is due; max() if none is.
  [[nodiscard]] Clock::time_point next_due() const;
  /// Undoes one that was switched off, or polls the one that is due the longest, if any is. An
  /// Error is only for the caller to see whether the monitor still answers.
  boost::asio::awaitable<Result<void>> poll_one(qmp::Client& client, const qmp::Identity& identity,
                                                const std::optional<ProcessInfo>& process);
  /// Undoes what collectors switched on in QEMU.
  boost::asio::awaitable<void> finish(qmp::Client& client, const qmp::Identity& identity,
                                      const std::optional<ProcessInfo>& process);

  /// How a collector is doing. Only of those that are on and that the VM can answer.
  struct Health {
    std::string_view name;
    std::optional<bool> success;                   ///< Absent before the first poll.
    double duration_seconds = 0;                   ///< Of the last poll.
    std::optional<double> last_success_timestamp;  ///< Seconds since the epoch.
  };
  [[nodiscard]] std::vector<Health> health() const;
  /// Why the last poll of a collector failed, a line each.
  [[nodiscard]] std::vector<std::string> problems() const;
  /// What the collectors found, as it is now; stays as it is while the caller keeps it.
  [[nodiscard]] std::vector<std::shared_ptr<const Figures>> figures() const;

 private:
  struct Entry {
    Collector collector;
    bool on = false;
    std::chrono::milliseconds interval{0};
    bool available = false;
    bool finish_due = false;  // Switched off, and what it did in QEMU is to be undone.
    Clock::time_point due = Clock::time_point::max();
    std::shared_ptr<const Figures> figures = std::make_shared<const Figures>();
    std::optional<bool> success;
    double duration_seconds = 0;
    std::optional<double> last_success_timestamp;
    std::string problem;
  };

  [[nodiscard]] Entry* due_now();
  [[nodiscard]] CollectorView view(qmp::Client& client, const qmp::Identity& identity,
                                   const std::optional<ProcessInfo>& process) const;
  [[nodiscard]] bool is_available(const Collector& collector) const;

  std::vector<Entry> entries_;
  std::set<std::string> commands_;
  bool has_process_ = false;
  bool in_session_ = false;
  std::uint64_t session_ = 0;
};

}  // namespace qemon::daemon
