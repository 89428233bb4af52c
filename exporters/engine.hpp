// Engine: turns the records of one VM's trace into the integers behind its metrics.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "exporters/bound_pack.hpp"
#include "exporters/metric.hpp"
#include "exporters/pack.hpp"
#include "exporters/trace_counters.hpp"
#include "trace/decoder.hpp"
#include "trace/event_table.hpp"

namespace qemon::exporters {

/// The sink at the end of a VM's decoder, and of a replayed file's. Counts every event, and runs
/// the packs that are in use. Owned by the VM and kept over reconnects and restarts of QEMU: its
/// metrics never go away or back, also when their pack is switched off or loaded anew. Two kinds
/// begin anew: a metric whose kind, labels or buckets were changed, and one by addresses in QEMU
/// when another process takes its place.
class Engine final : public trace::RecordSink {
 public:
  /// `events` must outlive the engine.
  explicit Engine(const trace::EventTable& events) : events_(events) {}
  ~Engine() override;

  void on_record(const trace::Record& record) override {
    counters_.on_record(record);
    if (record.event < group_of_.size() && group_of_[record.event] != 0) run_packs(record);
  }
  [[nodiscard]] trace::Tally tally() override;
  void on_tallied(std::uint64_t records, std::optional<std::int64_t> last_ns) override {
    counters_.on_tallied(records, last_ns);
  }
  [[nodiscard]] std::optional<std::span<const std::uint8_t>> only_sums(
      trace::EventIndex event) const override;
  void on_summed(trace::EventIndex event, std::uint64_t records,
                 std::span<const std::uint8_t> arguments,
                 std::span<const std::uint64_t> sums) override;
  void on_loss(std::uint64_t count) override;
  void on_restart() override;

  /// Runs these packs from now on, and no others. Those that ran already with the same file and
  /// catalog go on undisturbed, with what they have in flight. False if all of them did.
  bool use(std::span<const std::shared_ptr<const Pack>> packs);
  /// An event was switched on or off: what is in flight and depends on it is void, since its other
  /// half may have gone unseen.
  void event_switched(trace::EventIndex event);
  /// Another QEMU process takes the place of the one before: series that are told by an address in
  /// it would only pile up. use() is to follow.
  void begin_process();
  /// The VM was reset: its devices forgot what was in flight.
  void discard_pairs();

  [[nodiscard]] const TraceCounters& counters() const { return counters_; }
  /// The pack as it is in use; nullptr if it is not.
  [[nodiscard]] const BoundPack* bound(const std::string& pack) const;
  /// All metrics of packs that are or were in use; nullptr if there is none of that name.
  [[nodiscard]] Metric* find(const std::string& metric) const;
  [[nodiscard]] const std::map<std::string, std::unique_ptr<Metric>>& metrics() const {
    return metrics_;
  }
  /// Pairs in flight now, over all latencies of that metric.
  [[nodiscard]] std::size_t in_flight(const Metric& metric) const;

 private:
  struct Plan {
    std::shared_ptr<const Pack> pack;
    std::uint32_t catalog_generation = 0;
    std::size_t event_count = 0;
    std::unique_ptr<BoundPack> bound;
    bool feeds_replaced = false;  // To be bound again.
  };

  void run_packs(const trace::Record& record);
  Metric& metric_for(const Rule& rule);
  void index();

  const trace::EventTable& events_;
  TraceCounters counters_;
  std::map<std::string, std::unique_ptr<Metric>> metrics_;
  std::vector<std::unique_ptr<Metric>> replaced_;  // Kept while plans use them.
  std::vector<Plan> plans_;
  std::vector<std::uint16_t> group_of_;  // By event; 0 for those that no rule is for.
  struct Group {
    std::vector<const BoundRule*> rules;
    bool needs_arguments = false;
    bool only_sums = true;
    std::vector<std::uint8_t> summed;  // Arguments, ascending.
  };
  std::vector<Group> groups_;
  trace::Arguments arguments_;  // Of the record in hand; here, because making one takes its time.
};

}  // namespace qemon::exporters
