// Experiments: runs that users mark, and what the VMs' figures did meanwhile.
#pragma once

#include <prometheus/metric_family.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/annotation.hpp"
#include "daemon/experiment.hpp"
#include "daemon/experiment_store.hpp"
#include "daemon/fleet.hpp"
#include "daemon/vm.hpp"
#include "exporters/pack_library.hpp"

namespace qemon::daemon {

/// Owned by the daemon; outlives its HTTP server. One thread. Every experiment that runs has a
/// coroutine that looks at the figures of its VMs and ends it.
///
/// Errors have a code: no_such_file_or_directory for a name that there is not, file_exists for one
/// that is taken, and none for what is wrong otherwise.
class Experiments {
 public:
  Experiments(boost::asio::any_io_executor executor, Fleet& fleet,
              const exporters::PackLibrary& packs, AnnotationSink annotate);
  ~Experiments();
  Experiments(const Experiments&) = delete;
  Experiments& operator=(const Experiments&) = delete;

  /// Reads what earlier ones left, before anything else is called. Those that ran are interrupted
  /// now.
  [[nodiscard]] Result<void> open(const std::string& runtime_directory);
  /// Ends the leases of those that were interrupted; called once the VMs have taken up theirs.
  void end_leases_left();

  /// Switches the packs on, waits until every figure is one of now, and begins. What it returns
  /// tells what was switched where, or why it did not begin; then nothing is left on.
  boost::asio::awaitable<Result<nlohmann::json>> start(ExperimentWish wish);
  /// Ends it and waits for its summary; returns what lists tell of it. `by`: whom to name.
  boost::asio::awaitable<Result<nlohmann::json>> stop(std::string name, std::string by);
  /// Gives one that runs another end.
  [[nodiscard]] Result<nlohmann::json> extend(const std::string& name, LeaseLength from_now);
  /// Forgets one that has ended.
  [[nodiscard]] Result<void> remove(const std::string& name);

  /// What lists tell of all, by start.
  [[nodiscard]] nlohmann::json list() const;
  /// The whole summary as JSON; of one that runs, as it is now.
  [[nodiscard]] Result<std::string> show(const std::string& name) const;
  /// qemu_experiment_info of those that run.
  [[nodiscard]] prometheus::MetricFamily info() const;

  /// qemond is ending: those that run are interrupted, with what is known of them until now.
  void stop_all();

 private:
  using Running = std::shared_ptr<Experiment>;

  [[nodiscard]] Result<void> may_start(const ExperimentWish& wish) const;
  boost::asio::awaitable<Result<nlohmann::json>> begin(Running experiment);
  boost::asio::awaitable<Result<nlohmann::json>> switch_packs_on(Running experiment) const;
  boost::asio::awaitable<std::vector<SwitchReport>> refresh(Running experiment);
  boost::asio::awaitable<void> give_leases_back(Running experiment);
  boost::asio::awaitable<void> watch(Running experiment);
  boost::asio::awaitable<void> finish(Running experiment);
  boost::asio::awaitable<std::chrono::steady_clock::duration> look(Running experiment);
  void conclude(const Running& experiment);
  void extend_leases(const Experiment& experiment) const;
  [[nodiscard]] bool is_watched(const ExperimentVm& of) const;
  [[nodiscard]] Error no_such_experiment(const std::string& name) const;
  void tell(const Experiment& experiment, bool at_the_end) const;

  boost::asio::any_io_executor executor_;
  Fleet& fleet_;
  const exporters::PackLibrary& packs_;
  AnnotationSink annotate_;
  std::optional<ExperimentStore> store_;
  std::map<std::string, Running> running_;                    // Also those that are starting.
  std::vector<std::pair<std::string, LeaseId>> left_leases_;  // Of VMs, by name.
  bool closing_ = false;
};

}  // namespace qemon::daemon
