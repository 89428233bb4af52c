// Experiment: one run of a user's, and what the VMs' figures did meanwhile.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "daemon/lease_length.hpp"
#include "daemon/leases.hpp"
#include "daemon/run_record.hpp"
#include "daemon/vm_metrics.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

/// What a user asks for.
struct ExperimentWish {
  std::string name;
  std::string vm;  ///< Empty: all that are attached.
  std::vector<std::string> packs;
  std::map<std::string, std::string> labels;
  std::vector<std::string> command;  ///< That the user runs meanwhile, to be remembered only.
  LeaseLength length;                ///< From now on, unless it is extended.
  bool attended = false;  ///< Somebody extends it as long as the command runs: its end without a
                          ///< stop means that they are gone.
  bool replace = false;   ///< An experiment of that name that has ended makes room.
  Asker asker;
};

/// An Error that says what is wrong with its name, labels and command.
[[nodiscard]] Result<void> check(const ExperimentWish& wish);

enum class ExperimentState : std::uint8_t { starting, running, finished, abandoned, interrupted };
[[nodiscard]] std::string_view to_string(ExperimentState state);

/// One VM's part of an experiment.
class ExperimentVm {
 public:
  using Clock = std::chrono::steady_clock;

  ExperimentVm(std::shared_ptr<Vm> vm, RunLimits limits);

  [[nodiscard]] Vm& vm() const { return *vms_.front(); }
  /// For whoever waits for an answer of it.
  [[nodiscard]] std::shared_ptr<Vm> shared() const { return vms_.front(); }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// The moment from which everything counts. `is_whole`: every figure is one of now.
  void begin(Clock::time_point now, bool is_whole);
  /// A look at all figures. `watched`: the VM has not been detached.
  void look(Clock::time_point now, bool watched);
  void look_at_the_end(Clock::time_point now, bool watched);
  /// Why its figures are not all there, or are not of the run alone; a line, told once.
  void note(const std::string& line);

  std::map<LeaseId, std::string> leases;  ///< That the experiment holds, and their packs.
  [[nodiscard]] unsigned stretch() const { return record_.stretch(); }
  [[nodiscard]] bool is_complete() const { return notes_.empty(); }
  [[nodiscard]] nlohmann::json summary() const;

 private:
  void take(Clock::time_point now, bool is_whole);
  void look_for_losses(Clock::time_point now, bool watched);
  [[nodiscard]] nlohmann::json completeness() const;

  VmList
      vms_;  // Just the one: what its page is made of. Shared with the Fleet, which may let it go.
  std::string name_;
  std::string qemu_version_;
  std::string arch_;
  std::string accelerator_;
  std::unique_ptr<exporters::MetricsPage> page_;
  RunRecord record_;
  Clock::time_point began_;
  Clock::time_point last_look_;
  double length_seconds_ = 0;
  std::uint64_t dropped_at_start_ = 0;
  std::uint64_t lost_bytes_at_start_ = 0;
  std::uint64_t losses_ = 0;  // At the last look.
  bool traced_ = false;       // Something was followed.
  double lossy_seconds_ = 0;
  double unreachable_seconds_ = 0;
  std::uint64_t sessions_at_start_ = 0;
  std::map<trace::EventIndex, std::uint64_t> trips_at_start_;
  std::vector<std::string> notes_;
};

/// Owned by an Experiments; shared with the coroutine that watches it and with those who wait for
/// its end.
struct Experiment {
  Experiment(boost::asio::any_io_executor executor, ExperimentWish its_wish);

  ExperimentWish wish;
  ExperimentState state = ExperimentState::starting;
  std::vector<std::unique_ptr<ExperimentVm>> vms;
  std::chrono::system_clock::time_point started;
  ExperimentVm::Clock::time_point began;
  double length_seconds = 0;
  std::optional<BootClock::time_point> until;
  std::string ended_by;             ///< For people: "alice", "its time was over", ...
  std::optional<std::string> stop;  ///< Its end is wanted, by whom.
  boost::asio::steady_timer next;   ///< Cancelled when its end is wanted.
  boost::asio::steady_timer ended;  ///< Cancelled when it has ended.

  [[nodiscard]] bool has_ended() const { return state > ExperimentState::running; }
};

/// What is told of it in lists. `vms` are names.
[[nodiscard]] nlohmann::json header_of(const Experiment& experiment);
/// All that is known of it; `vms` are summaries.
[[nodiscard]] nlohmann::json summary_of(const Experiment& experiment);

}  // namespace qemon::daemon
