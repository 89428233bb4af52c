// Vm: one VM's life in qemond: its monitor session, its trace, its leases, and what is told about
// it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/shared_pool.hpp"
#include "daemon/annotation.hpp"
#include "daemon/budget.hpp"
#include "daemon/catalog_finder.hpp"
#include "daemon/collector_runner.hpp"
#include "daemon/config.hpp"
#include "daemon/event_cost.hpp"
#include "daemon/journal.hpp"
#include "daemon/lease_length.hpp"
#include "daemon/leases.hpp"
#include "daemon/qmp_event_annotations.hpp"
#include "daemon/qmp_event_counters.hpp"
#include "daemon/run_state.hpp"
#include "daemon/sampler.hpp"
#include "daemon/trace_completeness.hpp"
#include "daemon/trace_router.hpp"
#include "daemon/vm_reports.hpp"
#include "exporters/engine.hpp"
#include "exporters/pack_library.hpp"
#include "qmp/client.hpp"
#include "qmp/identity.hpp"
#include "trace/event_table.hpp"

namespace qemon::daemon {

enum class VmState : std::uint8_t { connecting, attached, busy, released, unreachable };
/// For people and JSON, for instance "attached".
[[nodiscard]] std::string_view to_string(VmState state);

class Vm;

/// Shared by all VMs; owned by the daemon, which outlives them.
struct VmEnvironment {
  CatalogFinder& catalogs;
  trace::EventNamesPool& event_names;
  SharedPool<std::set<std::string>>& command_sets;
  exporters::FamilyTextMaker& texts;
  const exporters::PackLibrary& packs;
  std::span<char> read_buffer;  ///< For one read and decode at a time; see trace::decode_bytes_max.
  std::string trace_directory;
  std::uint64_t trace_space_bytes = 0;
  Journal* journal = nullptr;  ///< Set before the first VM is made.
  /// Called with the round trip time of each monitor command.
  std::function<void(const std::string& vm, std::chrono::nanoseconds)> on_round_trip;
  /// Called when a VM without a configured name has told its own; gives it the name it is to have.
  std::function<void(Vm& vm, const std::string& own_name)> on_named;
  /// Called when no VM has that name any more.
  std::function<void(const std::string& vm)> on_gone;
  /// Told what users want to see on their graphs.
  AnnotationSink annotate;
};

/// Totals of a VM's monitor, over all sessions.
struct MonitorTotals {
  std::uint64_t sessions = 0;  ///< Times the monitor was attached.
  std::uint64_t timeouts = 0;
  std::uint64_t flushes = 0;
  std::uint64_t foreign_changes = 0;  ///< Events that somebody else switched.
};

/// Owned by the daemon. `run` is spawned once and returns after `stop`. One thread. All talking to
/// the monitor is done by `run`'s coroutine; everybody else leaves a request and is told when it is
/// done.
class Vm {
 public:
  /// `name` is what it is called until set_name().
  Vm(boost::asio::any_io_executor executor, VmConfig config, std::string name,
     VmEnvironment& environment);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  /// Attaches, keeps attached, and after `stop` puts everything back. Returns when nothing more is
  /// to be done.
  boost::asio::awaitable<void> run();
  /// Follows the trace until `stop`; spawned beside `run`.
  boost::asio::awaitable<void> follow_trace();
  /// Asks `run` and `follow_trace` to end.
  void stop();

  void set_name(std::string name);
  /// What it is told to do from now on. Packs that the settings name newly go on, and those that
  /// they do not name any more go off.
  void configure(VmSettings settings);
  [[nodiscard]] const VmConfig& config() const { return config_; }

  /// What the journal of a qemond that was killed says of this VM; called before `run`. Leases that
  /// still run go on, those that ran out end, and events that it switched on are not taken for
  /// others'.
  void take_up(JournalEntry entry);
  /// What could not be put back when `run` returned.
  [[nodiscard]] const std::optional<JournalEntry>& left() const { return written_; }
  /// No configuration names this VM: the journal remembers it until it is detached.
  void attached_by_command();

  /// A wish to switch events, on its way to `run`.
  struct SwitchRequest;
  /// Asks for a lease on every event that matches one of `patterns`. The same wish of the same
  /// asker only gives the lease that runs another end. Returns at once, so that several VMs can be
  /// asked before one is waited for.
  std::shared_ptr<SwitchRequest> ask_for_events(std::vector<std::string> patterns, Asker asker,
                                                LeaseLength length, SampleWish sample);
  /// Asks to take matching events out of all leases but those of packs. Answered like the other.
  std::shared_ptr<SwitchRequest> ask_events_off(std::vector<std::string> patterns);
  /// Asks to switch packs on; all of them must be in the library. A pack has a lease of its own on
  /// the events that it needs, for each asker. Answered like the other.
  std::shared_ptr<SwitchRequest> ask_for_packs(std::vector<std::string> names, Asker asker,
                                               LeaseLength length, SampleWish sample);
  /// Asks to end all leases on these packs.
  std::shared_ptr<SwitchRequest> ask_packs_off(std::vector<std::string> names);
  /// Ends a lease, or all of them, at once, and asks to switch off what nobody wants any more. If
  /// the monitor is out of reach, that is done when it is reached again.
  std::shared_ptr<SwitchRequest> ask_to_end(LeaseId id);
  std::shared_ptr<SwitchRequest> ask_to_end_all();
  /// Asks to read all of the trace that was written until now and to poll all collectors, so that
  /// every figure is one of now. Collectors that could not be polled are told as `failed`.
  std::shared_ptr<SwitchRequest> ask_to_refresh();
  /// Gives a lease another end. An Error if there is none of that id.
  Result<void> set_lease_end(LeaseId id, LeaseLength from_now);
  /// The library was loaded anew.
  void packs_changed();
  /// Waits until QEMU has been told, at most until a deadline of some seconds after the asking.
  boost::asio::awaitable<SwitchReport> switched(std::shared_ptr<SwitchRequest> request);
  /// A wish to know what events cost, on its way to `run`.
  struct CostRequest;
  /// Asks to switch each event that matches on and off in windows of this length.
  std::shared_ptr<CostRequest> ask_for_cost(std::vector<std::string> patterns, Asker asker,
                                            std::chrono::milliseconds sample);
  /// Waits for the end of it.
  boost::asio::awaitable<CostReport> measured(std::shared_ptr<CostRequest> request);
  /// Closes the monitor session for `duration`, so that another client can use the monitor; tracing
  /// goes on.
  void release(std::chrono::milliseconds duration);
  /// The file that the TCG plugin of its QEMU publishes in; an Error if there is none.
  [[nodiscard]] Result<std::string> plugin_path() const;
  /// Has that plugin count more or less (bits of plugin::Level) until then.
  Result<void> switch_plugin_level(std::uint32_t wanted, LeaseLength length);
  /// A user made a mark about it.
  void marked() { ++marks_; }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string address() const { return config_.address(); }
  [[nodiscard]] VmState state() const { return state_; }
  /// Why the state is what it is, or what is wrong with the monitor; may be empty.
  [[nodiscard]] const std::string& reason() const { return reason_; }
  /// Of a request that only an attached VM can serve: "is unreachable: no such socket".
  [[nodiscard]] std::string why_not_attached() const;
  /// True while attached and answering.
  [[nodiscard]] bool is_up() const { return state_ == VmState::attached && answering_; }
  /// True once this VM has been attached or found absent for the first time.
  [[nodiscard]] bool settled() const { return settled_; }
  [[nodiscard]] std::optional<double> released_for_seconds() const;
  /// Of the QEMU last attached to.
  [[nodiscard]] const std::optional<qmp::Identity>& identity() const { return identity_; }
  /// Of the QEMU last attached to, for instance "7.2.22"; empty if there was none yet.
  [[nodiscard]] std::string qemu_version() const;
  [[nodiscard]] const std::optional<ProcessInfo>& process() const { return process_; }
  [[nodiscard]] const std::string& run_state() const { return run_state_; }
  [[nodiscard]] const TraceRouter* router() const { return router_.get(); }
  [[nodiscard]] const std::string& catalog_path() const { return catalog_.path; }
  [[nodiscard]] const Leases& leases() const { return leases_; }
  [[nodiscard]] std::size_t known_events() const { return known_events_; }
  [[nodiscard]] const trace::EventTable& events() const { return events_; }
  [[nodiscard]] const exporters::TraceCounters& counters() const { return engine_.counters(); }
  [[nodiscard]] exporters::Engine& engine() { return engine_; }
  /// What in the packs that are on does not fit the VM's events: FILE:LINE: and why.
  [[nodiscard]] std::vector<std::string> pack_mistakes() const;
  /// The packs that are on, also while the VM is away.
  [[nodiscard]] std::set<std::string> packs_on() const { return leases_.packs(); }
  [[nodiscard]] const CollectorRunner& collectors() const { return collectors_; }
  /// Run state and QMP events, as they are now.
  [[nodiscard]] std::shared_ptr<const exporters::FamilyTexts> own_families() const;
  [[nodiscard]] PackFit fit(const exporters::Pack& pack) const;
  [[nodiscard]] const MonitorTotals& monitor_totals() const { return monitor_totals_; }
  [[nodiscard]] trace::FeedTotals trace_totals() const;
  /// What sampling says about each event that is or was sampled.
  [[nodiscard]] std::vector<Sampler::Estimate> estimates() const;
  /// How old the newest decoded record is while more waits to be read; 0 when nothing waits; absent
  /// without times.
  [[nodiscard]] std::optional<double> lag_seconds() const;
  [[nodiscard]] const Budget& budget() const { return budget_; }
  /// As it is told, with the defaults for the VM's trace backend.
  [[nodiscard]] BudgetLimits budget_limits() const;
  /// How often each event was switched off because it was too much, since qemond started.
  [[nodiscard]] const std::map<trace::EventIndex, std::uint64_t>& trips() const { return trips_; }
  /// Whatever was lost of the trace, in no unit: it grows when something more was.
  [[nodiscard]] std::uint64_t losses() const;
  /// The share of the last minute in which nothing of the trace was lost; absent while nothing is
  /// traced.
  [[nodiscard]] std::optional<double> complete_ratio() const;
  /// What counts against the trace's space: what files of ours occupy, or how much a log that is
  /// followed in place has grown. Absent while we want no event.
  [[nodiscard]] std::optional<std::uint64_t> trace_space_used() const;
  [[nodiscard]] std::uint64_t trace_space() const { return environment_.trace_space_bytes; }
  /// Whether QEMU has no room to write its trace on; absent while nothing is traced.
  [[nodiscard]] std::optional<bool> trace_file_system_full() const;
  /// What is degraded and why, a line each.
  [[nodiscard]] std::vector<std::string> degraded() const;
  /// What cannot be known by way of what is followed, an indirect question each.
  [[nodiscard]] std::vector<std::string> unknown() const;
  /// Events that match `pattern` (all if it is empty), by name.
  [[nodiscard]] std::vector<EventRow> list_events(const std::string& pattern,
                                                  bool enabled_only) const;

 private:
  boost::asio::awaitable<void> attempt();
  boost::asio::awaitable<void> attend_file();
  boost::asio::awaitable<Result<void>> begin_file();
  void begin_file_events(trace::TraceFormat format);
  boost::asio::awaitable<bool> serve_file();
  boost::asio::awaitable<void> answer_file_requests();
  void notice_file_events();
  [[nodiscard]] std::string why_file_ended() const;
  [[nodiscard]] bool is_file_another_now();
  void put_file_back();
  boost::asio::awaitable<void> serve(qmp::Client& client);
  boost::asio::awaitable<Result<void>> attach(qmp::Client& client);
  void find_process(const qmp::Client& client, const std::vector<pid_t>& threads);
  boost::asio::awaitable<Result<void>> load_states(qmp::Client& client, bool same_process);
  boost::asio::awaitable<Result<void>> switch_off_journaled(
      qmp::Client& client, std::span<const qmp::TraceEventLine> lines);
  void begin_events(std::span<const qmp::TraceEventLine> lines);
  boost::asio::awaitable<Result<void>> reconcile(qmp::Client& client, SwitchReport* report);
  boost::asio::awaitable<Result<void>> switch_event(qmp::Client& client, trace::EventIndex event,
                                                    bool on);
  boost::asio::awaitable<Result<void>> apply_changes(qmp::Client& client, SwitchReport* report);
  boost::asio::awaitable<void> answer_requests(qmp::Client& client);
  boost::asio::awaitable<Result<void>> answer(qmp::Client& client, SwitchRequest& request);
  [[nodiscard]] std::vector<std::string> names_to_switch_on() const;
  boost::asio::awaitable<Result<void>> catch_up(qmp::Client& client);
  boost::asio::awaitable<Result<void>> refresh(qmp::Client& client, SwitchReport& report);
  boost::asio::awaitable<Result<void>> sample_if_due(qmp::Client& client);
  boost::asio::awaitable<Result<void>> switch_windows(qmp::Client& client, Sampler::Turn turn);
  boost::asio::awaitable<void> close_windows(qmp::Client& client);
  void update_sampling();
  boost::asio::awaitable<Result<void>> measure_if_due(qmp::Client& client);
  boost::asio::awaitable<Result<void>> measure(qmp::Client& client, CostRequest& request);
  boost::asio::awaitable<Result<void>> begin_measuring(qmp::Client& client, CostRequest& request);
  boost::asio::awaitable<Result<void>> begin_window(qmp::Client& client, CostRequest& request);
  boost::asio::awaitable<Result<void>> end_window(qmp::Client& client, CostRequest& request);
  boost::asio::awaitable<void> abandon_measuring(qmp::Client& client);
  void next_measured(CostRequest& request);
  void refuse_cost(const std::string& why);
  [[nodiscard]] std::chrono::steady_clock::time_point next_measuring() const;
  [[nodiscard]] bool measuring() const;
  [[nodiscard]] RecordsRead records_read(trace::EventIndex event) const;
  boost::asio::awaitable<Result<void>> flush_if_due(qmp::Client& client);
  boost::asio::awaitable<Result<void>> poll_if_due(qmp::Client& client);
  boost::asio::awaitable<Result<void>> refresh_states(qmp::Client& client,
                                                      std::vector<std::string> names);
  boost::asio::awaitable<Result<void>> begin_collecting(qmp::Client& client);
  void run_state_is(std::string state);
  boost::asio::awaitable<void> restore(qmp::Client& client);
  void observe(const std::string& listed);
  void observe(std::string_view event_name, bool on);
  boost::asio::awaitable<void> wait(std::chrono::steady_clock::time_point until);
  std::shared_ptr<SwitchRequest> ask(std::shared_ptr<SwitchRequest> request);
  bool settle(const SwitchRequest& request, SwitchReport& report);
  bool settle_events_on(const SwitchRequest& request, SwitchReport& report);
  bool settle_events_off(const SwitchRequest& request, SwitchReport& report);
  bool settle_packs_on(const SwitchRequest& request, SwitchReport& report);
  bool settle_packs_off(const SwitchRequest& request, SwitchReport& report);
  [[nodiscard]] std::vector<std::string> events_of_wish(const SwitchRequest& request) const;
  GrantedLease grant(const Asker& asker, std::vector<std::string> patterns, std::string pack,
                     LeaseLength length, std::optional<Sampling> sampling);
  void end_leases(const std::vector<LeaseId>& ids, SwitchReport* report);
  bool end_leases_that_are_over();
  void end_all_leases();
  void end_plugin_level(const char* why);
  void end_plugin_level_if_over();
  void give_up(const SwitchReport& report);
  [[nodiscard]] std::chrono::steady_clock::time_point next_lease_end_here() const;
  [[nodiscard]] JournalEntry journal_entry() const;
  Result<void> write_journal();
  void write_journal_or_warn();
  [[nodiscard]] bool is_journaled_process() const;
  void take_up_states();
  void use_packs();
  void lease_pack(const std::string& pack_name, bool asked_again, SwitchReport* report);
  void watch_trace();
  void enforce_trace_space();
  [[nodiscard]] BudgetSample budget_sample(std::chrono::steady_clock::time_point now) const;
  void trip(const std::vector<Trip>& trips);
  [[nodiscard]] bool any_tripped_still_on() const;
  boost::asio::awaitable<void> begin_process(std::optional<ProcessInfo> process);
  boost::asio::awaitable<void> end_process();
  void choose_catalog();
  void settle_sums();
  void on_qmp_event(const qmp::Event& event);
  void refuse_requests(const std::string& why);
  void annotate(std::optional<Annotation> annotation) const;
  void set_state(VmState state, std::string reason);
  bool note_failure(const Error& error);
  void wake();

  VmConfig config_;
  VmSettings settings_;
  std::string name_;
  VmEnvironment& environment_;
  boost::asio::steady_timer wake_timer_;
  boost::asio::steady_timer feed_timer_;
  bool wake_requested_ = false;
  bool stopping_ = false;
  bool settled_ = false;

  VmState state_ = VmState::connecting;
  std::string reason_;
  bool answering_ = false;
  bool session_ended_ = true;  // Set by the handler of the client's run().
  std::string session_end_;    // And why.
  std::chrono::steady_clock::time_point released_until_{};
  std::chrono::milliseconds backoff_;
  bool met_somebody_ = false;         // At the last attempt, but it came to nothing.
  bool reads_on_from_start_ = false;  // A VM that is a file: it is read from its beginning.
  std::uint64_t file_restarts_ = 0;   // When what it is was found out last.
  bool is_plugin_file_ = false;       // A VM that is a file: of what a TCG plugin publishes.
  bool saw_no_file_ =
      false;  // A VM that is a file: it was missing or empty, so nothing was missed.

  std::optional<qmp::Identity> identity_;
  std::optional<ProcessInfo> process_;
  std::optional<ProcessInfo> found_process_;  // By the session that is beginning.
  std::string process_problem_;
  std::vector<pid_t> thread_ids_;  // Of vCPUs and I/O threads.
  std::string run_state_;
  RunStateClock run_state_clock_;
  QmpEventCounters qmp_events_;
  QmpEventAnnotations qmp_event_annotations_;
  std::uint64_t marks_ = 0;
  CollectorRunner collectors_;

  trace::EventTable events_;
  std::size_t known_events_ = 0;  // That the QEMU last attached to has.
  FoundCatalog catalog_;
  exporters::Engine engine_{events_};
  Leases leases_;
  Sampler sampler_;
  bool states_known_ = false;  // leases_ knows the switches of the present process.
  std::unique_ptr<TraceRouter> router_;
  bool attached_by_command_ = false;
  std::optional<JournalEntry>
      journaled_;                        // Of an earlier life, until its process is found or gone.
  std::optional<JournalEntry> written_;  // What the journal holds now.
  std::string journal_problem_;
  std::string probe_event_;           // On for an instant, to find out where the log goes.
  trace::FeedTotals retired_totals_;  // Of routers of QEMU processes that are gone.
  MonitorTotals monitor_totals_;

  std::deque<std::shared_ptr<SwitchRequest>>
      requests_;  // Shared with the coroutine that waits for the answer.
  std::deque<std::shared_ptr<CostRequest>> cost_requests_;  // Likewise.
  std::chrono::steady_clock::time_point last_look_time_{};  // At all events.
  std::chrono::steady_clock::time_point next_poll_time_{};
  std::chrono::steady_clock::time_point next_flush_time_{};
  std::uint64_t bytes_at_last_flush_ = 0;

  Budget budget_;
  TraceCompleteness completeness_;
  std::map<trace::EventIndex, std::uint64_t> trips_;
  bool has_tripped_ = false;  // The session has something to switch off.
  std::chrono::steady_clock::time_point next_watch_time_{};
  std::optional<std::uint64_t> size_when_switched_on_;  // Of a file followed in place.
  bool sampled_since_then_ = false;  // So nothing of ours being on is no new beginning.
};

}  // namespace qemon::daemon
