#include "daemon/usdt_source.hpp"

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <map>
#include <string>
#include <utility>

#include "daemon/job_thread.hpp"
#include "daemon/usdt_probes.hpp"
#include "usdt/probe_decoder.hpp"
#include "usdt/probe_tracer.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;

namespace {

// One turn of the loop: about a millisecond of records.
constexpr std::size_t turn_bytes = 256 * 1024;
// For events that a module of QEMU's brings later.
constexpr std::size_t spare_slots = 1024;
constexpr std::size_t spare_sites = 1024;

/// An event is counted in the kernel as long as nobody reads its records, and recorded whole
/// otherwise. The kernel's part of attaching, and above all of detaching, is done on a thread of its
/// own: until it is detached, an event that is off costs the guest a breakpoint, and nothing else.
class UsdtSource final : public TraceSource {
 public:
  explicit UsdtSource(TraceSourceOptions options)
      : options_(std::move(options)), decoder_(options_.events), jobs_(options_.executor) {}

  asio::awaitable<Result<void>> start() override;
  asio::awaitable<void> stop() override;
  asio::awaitable<Result<void>> switch_event(trace::EventIndex event, bool on) override;
  asio::awaitable<Result<void>> flush() override { co_return Result<void>(); }
  bool pump(std::span<char> buffer, trace::RecordSink& sink) override;
  [[nodiscard]] trace::FeedTotals totals() const override;
  [[nodiscard]] std::uint64_t lag_bytes() const override;
  [[nodiscard]] std::optional<clockid_t> clock() const override { return CLOCK_MONOTONIC; }
  [[nodiscard]] std::string place() const override;
  [[nodiscard]] std::vector<std::string> problems() const override;

 private:
  struct Event {
    bool on = false;
    std::uint64_t counted = 0;  // Of the kernel's count: told to the sink.
  };

  Result<void> load();
  Result<void> attach(trace::EventIndex event);
  [[nodiscard]] probe_event wanted_of(trace::EventIndex event, int mode) const;
  void take_counts(trace::RecordSink& sink);

  TraceSourceOptions options_;
  usdt::ProbeDecoder decoder_;
  std::map<trace::EventIndex, Event> events_;
  std::uint64_t bytes_read_ = 0;
  std::size_t slots_ = 0;
  std::vector<ProbedFile> files_;  // Of the thread that attaches.
  std::unique_ptr<usdt::ProbeTracer> tracer_;
  JobThread jobs_;  // Ends first: its jobs use the rest.
};

asio::awaitable<Result<void>> UsdtSource::start() {
  slots_ = options_.events.size() + spare_slots;
  JobThread::Job job = [this] { return load(); };
  co_return co_await jobs_.run(std::move(job));
}

Result<void> UsdtSource::load() {
  auto files = find_probed_files(options_.process.pid);
  if (!files) return wrap(files.error(), "the probes of QEMU cannot be found");
  files_ = std::move(*files);
  usdt::ProbeTracerOptions options;
  options.pid = options_.process.pid;
  options.slots = slots_;
  options.sites_max = spare_sites;
  for (const auto& file : files_)
    for (const auto& [name, sites] : file.sites) options.sites_max += sites;
  auto tracer = usdt::ProbeTracer::load(options);
  if (!tracer) return tracer.error();
  tracer_ = std::move(*tracer);
  return {};
}

asio::awaitable<void> UsdtSource::stop() {
  for (const auto& [event, state] : events_)
    if (state.on) co_await switch_event(event, false);
  co_await jobs_.finish();
}

asio::awaitable<Result<void>> UsdtSource::switch_event(trace::EventIndex event, bool on) {
  auto& state = events_[event];
  if (state.on == on) co_return Result<void>();
  if (event >= slots_) co_return Error{"more events than there were when it was attached to"};
  if (!on) {
    state.on = false;
    tracer_->set(event, wanted_of(event, probe_off));
    co_return jobs_.run_later(event, [this, event] { tracer_->detach(event); });
  }
  // Whole at first: the next pump() knows whether somebody reads it.
  tracer_->set(event, wanted_of(event, probe_recorded));
  state.on = true;
  if (jobs_.take_back(event)) co_return Result<void>();
  JobThread::Job job = [this, event] { return attach(event); };
  auto attached = co_await jobs_.run(std::move(job));
  if (!attached) {
    events_[event].on = false;
    tracer_->set(event, wanted_of(event, probe_off));
  }
  co_return attached;
}

/// An event that has no probe in the code cannot occur.
Result<void> UsdtSource::attach(trace::EventIndex event) {
  const auto& name = options_.events.name(event);
  const auto has_it = [&](const ProbedFile& file) { return file.sites.contains(name); };
  if (std::none_of(files_.begin(), files_.end(), has_it)) {
    // Perhaps in a module that was loaded meanwhile.
    if (auto files = find_probed_files(options_.process.pid)) files_ = std::move(*files);
  }
  for (const auto& file : files_) {
    if (!has_it(file)) continue;
    auto attached = tracer_->attach(event, file.path, name);
    if (attached) continue;
    tracer_->detach(event);
    return attached.error();
  }
  return {};
}

probe_event UsdtSource::wanted_of(trace::EventIndex event, int mode) const {
  probe_event wanted{};
  wanted.mode = static_cast<std::uint8_t>(mode);
  const auto* const described = options_.events.described(event);
  if (described == nullptr || described->arguments.size() > probe_arguments_max) return wanted;
  wanted.described = 1;
  wanted.argument_count = static_cast<std::uint8_t>(described->arguments.size());
  for (std::size_t i = 0; i < described->arguments.size(); ++i)
    if (described->arguments[i].kind == trace::ArgumentKind::string) wanted.strings |= 1U << i;
  return wanted;
}

bool UsdtSource::pump(std::span<char> buffer, trace::RecordSink& sink) {
  (void)buffer;
  take_counts(sink);
  const auto lost = tracer_->lost();
  const auto bytes = tracer_->read(
      turn_bytes, [&](std::string_view record) { decoder_.decode(record, sink); });
  bytes_read_ += bytes;
  if (bytes >= turn_bytes) return true;
  // Also when no record came after what was lost.
  decoder_.lost(lost, sink);
  return false;
}

/// What the kernel counted since, and how each event is to go on: the packs that read it may be
/// others now.
void UsdtSource::take_counts(trace::RecordSink& sink) {
  const auto tally = sink.tally();
  std::uint64_t records = 0;
  for (auto& [event, state] : events_) {
    if (event >= tally.counts.size()) continue;
    const auto count = tracer_->count(event);
    tally.counts[event] += count - state.counted;
    records += count - std::exchange(state.counted, count);
    if (state.on)
      tracer_->set(event, wanted_of(event, tally.only_counts(event) ? probe_counted : probe_recorded));
  }
  decoder_.add_counted(records);
  if (records > 0) sink.on_tallied(records, std::nullopt);
}

trace::FeedTotals UsdtSource::totals() const {
  trace::FeedTotals totals;
  totals.bytes_read = bytes_read_;
  totals.mismatches = decoder_.unreadable();
  totals.decoder = decoder_.stats();
  return totals;
}

std::uint64_t UsdtSource::lag_bytes() const { return tracer_ ? tracer_->waiting_bytes() : 0; }

std::string UsdtSource::place() const {
  const auto& exe = options_.process.exe;
  return "probes in " + (exe.empty() ? program_of(options_.process.pid) : exe);
}

std::vector<std::string> UsdtSource::problems() const {
  std::vector<std::string> lines;
  if (const auto count = decoder_.unreadable(); count > 0) {
    lines.push_back(std::to_string(count) +
                    " records have an argument that could not be read, and are counted by name");
  }
  return lines;
}

}  // namespace

std::unique_ptr<TraceSource> make_usdt_source(TraceSourceOptions options) {
  return std::make_unique<UsdtSource>(std::move(options));
}

}  // namespace qemon::daemon
