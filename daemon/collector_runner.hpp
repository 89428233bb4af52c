// CollectorRunner: polls one VM's collectors, each at its own pace, and keeps what they found.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "daemon/collector.hpp"
#include "daemon/config.hpp"
#include "exporters/metrics_text.hpp"

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

  /// `texts` is shared by all VMs, and outlives us. `write_journal` writes what changed() says.
  CollectorRunner(exporters::FamilyTextMaker& texts, std::function<Result<void>()> write_journal);

  /// What the label `vm` is from the next polls on.
  void set_vm(std::string name) { vm_ = std::move(name); }
  /// What collectors switched on in the QEMU that the VM is, and have not undone.
  [[nodiscard]] const JournaledCollecting& changed() const { return changed_; }
  /// Has the QEMU's TCG plugin count so, until end_plugin_level().
  Result<void> switch_plugin_level(const std::string& path, std::uint32_t wanted,
                                   std::optional<BootClock::time_point> until);
  /// Puts back what it counted before, if anything was switched. Needs no monitor. After an Error
  /// it is due again in 10 s.
  Result<void> end_plugin_level();
  /// Another QEMU takes its place, in which an earlier life of ours left this. `plugin_path`: of
  /// the file that its TCG plugin publishes in, or empty.
  void begin_process(JournaledCollecting left_behind, std::string plugin_path) {
    changed_ = std::move(left_behind);
    plugin_path_ = std::move(plugin_path);
  }
  [[nodiscard]] const std::string& plugin_path() const { return plugin_path_; }
  /// What is told of collectors by name; others are as they are by default.
  void configure(const std::map<std::string, CollectorSettings>& settings);
  /// A monitor session begins. `commands`: that QEMU has, shared by the VMs that have the same
  /// ones. `seed` differs from VM to VM.
  /// Without `commands` the VM has no monitor, and the polls are given no client.
  void begin_session(std::shared_ptr<const std::set<std::string>> commands, bool has_process,
                     std::size_t seed);
  /// The session is over: nothing is known any more, but for when each collector succeeded last.
  void end_session();
  [[nodiscard]] bool in_session() const { return in_session_; }
  /// The monitor does not answer: gauges may not be true any more.
  void doubt();

  /// When the next poll is due; max() if none is.
  [[nodiscard]] Clock::time_point next_due() const;
  /// Undoes one that was switched off, or polls the one that is due the longest, if any is. An
  /// Error is only for the caller to see whether the monitor still answers.
  boost::asio::awaitable<Result<void>> poll_one(qmp::Client* client, const qmp::Identity& identity,
                                                const std::optional<ProcessInfo>& process);
  /// Polls all of them now, whenever their next turns are. Returns the names of those that could
  /// not tell what is now, and why: all that are left, once the monitor does not answer in time.
  boost::asio::awaitable<std::vector<std::pair<std::string, std::string>>> poll_all(
      qmp::Client* client, const qmp::Identity& identity,
      const std::optional<ProcessInfo>& process);
  /// Undoes what collectors switched on in QEMU.
  boost::asio::awaitable<void> finish(qmp::Client* client, const qmp::Identity& identity,
                                      const std::optional<ProcessInfo>& process);

  /// How a collector is doing. Only of those that are on and that the VM can answer.
  struct Health {
    std::string_view name;
    std::optional<bool> success;                   ///< Absent before a session's first poll.
    double duration_seconds = 0;                   ///< Of the last poll.
    std::optional<double> last_success_timestamp;  ///< Seconds since the epoch.
  };
  template <typename Take>
  void each_health(Take take) const {
    for (const auto& entry : entries_)
      if (const auto health = health_of(entry)) take(*health);
  }
  /// Why the last poll of a collector failed, a line each.
  [[nodiscard]] std::vector<std::string> problems() const;
  /// Calls `take` with what each collector found (shared_ptr<const FamilyTexts>), as it is now; it
  /// stays as it is for as long as it is kept.
  template <typename Take>
  void each_found(Take take) const {
    for (const auto& entry : entries_)
      if (entry.found) take(entry.found);
  }

 private:
  struct Entry {
    Collector collector;
    bool on = false;
    std::chrono::milliseconds interval{0};
    std::chrono::milliseconds deadline{0};
    bool available = false;
    // Switched off: when what it did in QEMU is to be undone.
    std::optional<Clock::time_point> finish_due;
    Clock::time_point due = Clock::time_point::max();
    std::shared_ptr<const exporters::FamilyTexts> found;
    Clock::duration cost{0};  // Of the monitor's time, as far as it is believed.
    std::optional<bool> success;
    double duration_seconds = 0;
    std::optional<double> last_success_timestamp;
    std::string problem;
  };

  [[nodiscard]] std::optional<Health> health_of(const Entry& entry) const;
  [[nodiscard]] Entry* due_now();
  boost::asio::awaitable<Result<void>> poll(Entry& entry, qmp::Client* client,
                                            const qmp::Identity& identity,
                                            const std::optional<ProcessInfo>& process);
  void pace(Entry& entry, Clock::time_point begin, std::optional<Clock::duration> cost);
  [[nodiscard]] CollectorView view(const Entry& entry, qmp::Client* client,
                                   const qmp::Identity& identity,
                                   const std::optional<ProcessInfo>& process);
  [[nodiscard]] bool is_available(const Collector& collector) const;

  exporters::FamilyTextMaker& texts_;
  std::function<Result<void>()> write_journal_;
  JournaledCollecting changed_;
  std::string plugin_path_;
  std::string vm_;
  std::vector<Entry> entries_;
  std::shared_ptr<const std::set<std::string>> commands_ =
      std::make_shared<const std::set<std::string>>();
  bool has_monitor_ = false;
  bool has_process_ = false;
  bool in_session_ = false;
  std::uint64_t session_ = 0;
};

}  // namespace qemon::daemon
