#include "daemon/usdt_source.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/text.hpp"
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
// The kernel takes a tenth of a second to let go of each, one after another, also when qemond is
// killed.
constexpr std::size_t sites_max = 512;
// How long stop() waits for that. The rest is done after it.
constexpr std::chrono::seconds detach_deadline{2};

/// An event is counted in the kernel as long as nobody reads its records, summed there if all that
/// is read is sums, and recorded whole otherwise. The kernel's part of attaching, and above all of
/// detaching, is done on a thread of its own: until it is detached, an event that is off costs the
/// guest a breakpoint, and nothing else.
class UsdtSource final : public TraceSource {
 public:
  explicit UsdtSource(TraceSourceOptions options)
      : options_(std::move(options)), decoder_(options_.events), jobs_(options_.executor) {}
  ~UsdtSource() override;
  UsdtSource(const UsdtSource&) = delete;
  UsdtSource& operator=(const UsdtSource&) = delete;

  asio::awaitable<Result<void>> start() override;
  asio::awaitable<void> stop() override;
  asio::awaitable<Result<void>> switch_event(trace::EventIndex event, bool on) override;
  asio::awaitable<Result<void>> flush() override { co_return Result<void>(); }
  bool pump(std::span<char> buffer, trace::RecordSink& sink) override;
  [[nodiscard]] trace::FeedTotals totals() const override;
  [[nodiscard]] std::uint64_t lag_bytes() const override { return tracer_->waiting_bytes(); }
  [[nodiscard]] std::optional<clockid_t> clock() const override { return CLOCK_MONOTONIC; }
  [[nodiscard]] std::string place() const override;
  [[nodiscard]] std::vector<std::string> problems() const override;
  [[nodiscard]] std::vector<std::string> unknown() const override;

 private:
  struct Event {
    bool on = false;
    int mode = probe_off;
    std::uint8_t adder = probe_adders_max;  // When summed.
    std::uint64_t counted = 0;              // Of the kernel's count: told to the sink.
    std::size_t sites = 0;                  // That it is attached to while it is on.
    bool whole = false;                     // Attached to all of them.
    bool bare = false;                      // Its arguments are where libbpf cannot find them.
    bool absent = false;                    // QEMU's code had no probe of it when it went on.
  };
  /// One of the kernel's adders. A program that runs just now may still use it when its event is
  /// summed in another way or no more, so it never becomes another event's.
  struct Adder {
    trace::EventIndex event = 0;
    std::vector<std::uint8_t> arguments;
    probe_adder how{};
    probe_totals told{};  // To the sink.
  };
  /// Where an event's probes are.
  struct Places {
    std::vector<std::string> files;
    std::size_t sites = 0;
  };

  asio::awaitable<Result<void>> find_files();
  asio::awaitable<Result<void>> attach(trace::EventIndex event);
  [[nodiscard]] Places places_of(const std::string& event) const;
  void set_mode(trace::EventIndex event, int mode, std::uint8_t adder = probe_adders_max);
  [[nodiscard]] std::optional<std::uint8_t> adder_for(trace::EventIndex event,
                                                      std::span<const std::uint8_t> arguments);
  void take_counts(trace::RecordSink& sink);
  [[nodiscard]] std::uint64_t take_sums(trace::RecordSink& sink, const trace::Tally& tally);

  TraceSourceOptions options_;
  usdt::ProbeDecoder decoder_;
  std::map<trace::EventIndex, Event> events_;
  std::vector<Adder> adders_;
  std::uint64_t bytes_read_ = 0;
  std::uint32_t catalog_ = 0;  // Which one was in use at the last pump().
  std::size_t slots_ = 0, sites_ = 0;
  std::vector<std::string> modules_;
  std::vector<ProbedFile> files_;
  std::shared_ptr<usdt::ProbeTracer> tracer_;  // Shared with the jobs that detach.
  JobThread jobs_;
};

UsdtSource::~UsdtSource() {
  // Whatever is attached is let go of on that thread.
  if (tracer_) std::ignore = jobs_.run_later(0, [tracer = std::move(tracer_)] {});
}

asio::awaitable<Result<void>> UsdtSource::start() {
  slots_ = options_.events.size() + spare_slots;
  modules_ = qemu_modules_of(options_.process.pid);
  auto found = co_await find_files();
  if (!found) co_return found;
  usdt::ProbeTracerOptions options;
  options.pid = options_.process.pid;
  options.slots = slots_;
  // Those that are being detached count as well.
  options.sites_max = 2 * sites_max;
  const auto loaded = std::make_shared<std::shared_ptr<usdt::ProbeTracer>>();
  JobThread::Job job = [options, loaded]() -> Result<void> {
    auto tracer = usdt::load_probe_tracer(options);
    if (!tracer) return tracer.error();
    *loaded = std::move(*tracer);
    return {};
  };
  auto done = co_await jobs_.run(std::move(job));
  tracer_ = std::move(*loaded);
  co_return done;
}

asio::awaitable<Result<void>> UsdtSource::find_files() {
  const auto files = std::make_shared<std::vector<ProbedFile>>();
  JobThread::Job job = [pid = options_.process.pid, modules = modules_, files]() -> Result<void> {
    auto found = find_probed_files(pid, modules);
    if (!found) return wrap(found.error(), "the probes of QEMU cannot be found");
    *files = std::move(*found);
    return {};
  };
  auto found = co_await jobs_.run(std::move(job));
  if (found) files_ = std::move(*files);
  co_return found;
}

asio::awaitable<void> UsdtSource::stop() {
  for (const auto& [event, state] : events_)
    if (state.on) co_await switch_event(event, false);
  co_await jobs_.finish(detach_deadline);
}

asio::awaitable<Result<void>> UsdtSource::switch_event(trace::EventIndex event, bool on) {
  if (event >= slots_) co_return Error{"it came to QEMU after qemond had attached to its probes"};
  auto& state = events_[event];
  if (state.on == on) co_return Result<void>();
  state.on = on;
  // Whole at first: the next pump() knows whether somebody reads it.
  set_mode(event, on ? probe_recorded : probe_off);
  Result<void> done;
  if (on) done = co_await attach(event);
  if (on && done) co_return done;
  state.on = false;
  set_mode(event, probe_off);
  if (const auto sites = std::exchange(state.sites, 0); sites > 0) {
    sites_ -= sites;
    auto later = jobs_.run_later(event, [tracer = tracer_, event] { tracer->detach(event); });
    if (done) done = std::move(later);
  }
  co_return done;
}

asio::awaitable<Result<void>> UsdtSource::attach(trace::EventIndex event) {
  auto places = places_of(options_.events.name(event));
  if (places.files.empty()) {
    // Perhaps in a module that was loaded meanwhile.
    auto modules = qemu_modules_of(options_.process.pid);
    if (modules != modules_) {
      modules_ = std::move(modules);
      if (auto found = co_await find_files(); !found) co_return found;
      places = places_of(options_.events.name(event));
    }
  }
  events_[event].absent = places.files.empty();
  // It cannot occur.
  if (places.files.empty()) co_return Result<void>();
  if (sites_ + places.sites > sites_max)
    co_return Error{"its probes and those of the events that are on are more than " +
                    std::to_string(sites_max) + " places in QEMU's code: choose fewer events"};
  sites_ += places.sites;
  events_[event].sites = places.sites;
  const bool was_leaving = jobs_.take_back(event);
  if (was_leaving && events_[event].whole) co_return Result<void>();
  const auto bare = std::make_shared<bool>(false);
  JobThread::Job job = [tracer = tracer_, event, files = std::move(places.files),
                        name = options_.events.name(event), bare, was_leaving]() -> Result<void> {
    // It was attached to some of them only.
    if (was_leaving) tracer->detach(event);
    for (const auto& file : files) {
      const auto attached = tracer->attach(event, file, name);
      if (!attached) return attached.error();
      if (!*attached) *bare = true;
    }
    return {};
  };
  auto attached = co_await jobs_.run(std::move(job));
  events_[event].bare = *bare;
  events_[event].whole = attached.has_value();
  co_return attached;
}

UsdtSource::Places UsdtSource::places_of(const std::string& event) const {
  Places places;
  for (const auto& file : files_) {
    const auto found = file.sites.find(event);
    if (found == file.sites.end()) continue;
    places.files.push_back(file.path);
    places.sites += found->second;
  }
  return places;
}

void UsdtSource::set_mode(trace::EventIndex event, int mode, std::uint8_t adder) {
  events_[event].mode = mode;
  events_[event].adder = adder;
  probe_event wanted{};
  wanted.mode = static_cast<std::uint8_t>(mode);
  wanted.adder = adder;
  const auto* const described = options_.events.described(event);
  if (described != nullptr && described->arguments.size() <= probe_arguments_max) {
    wanted.described = 1;
    wanted.argument_count = static_cast<std::uint8_t>(described->arguments.size());
    for (std::size_t i = 0; i < described->arguments.size(); ++i)
      if (described->arguments[i].kind == trace::ArgumentKind::string) wanted.strings |= 1U << i;
  }
  tracer_->set(event, wanted);
}

static_assert(probe_addend_max <= trace::summed_value_max);

/// Made if there is none yet; absent if the kernel cannot add these up.
std::optional<std::uint8_t> UsdtSource::adder_for(trace::EventIndex event,
                                                  std::span<const std::uint8_t> arguments) {
  const auto* const described = options_.events.described(event);
  if (arguments.size() > probe_sums_max) return std::nullopt;
  probe_adder how{};
  for (const auto argument : arguments) {
    if (described == nullptr || argument >= described->arguments.size() ||
        argument >= probe_arguments_max)
      return std::nullopt;
    const auto& type = described->arguments[argument];
    if (type.kind == trace::ArgumentKind::string) return std::nullopt;
    probe_addend& addend = how.addends[how.count++];
    addend.argument = argument;
    addend.shift = static_cast<std::uint8_t>(64 - type.bits);
    addend.is_signed = type.kind == trace::ArgumentKind::signed_integer;
  }
  const auto known = std::ranges::find_if(adders_, [&](const Adder& adder) {
    return adder.event == event && std::memcmp(&adder.how, &how, sizeof how) == 0;
  });
  const auto index = static_cast<std::uint8_t>(known - adders_.begin());
  if (known != adders_.end()) return index;
  if (adders_.size() == probe_adders_max) return std::nullopt;
  tracer_->set_adder(index, how);
  adders_.push_back({event, {arguments.begin(), arguments.end()}, how, {}});
  return index;
}

bool UsdtSource::pump(std::span<char> buffer, trace::RecordSink& sink) {
  (void)buffer;
  take_counts(sink);
  const auto lost = tracer_->lost();
  const auto bytes =
      tracer_->read(turn_bytes, [&](std::string_view record) { decoder_.decode(record, sink); });
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
  const auto catalog = options_.events.catalog_generation();
  const bool described_anew = std::exchange(catalog_, catalog) != catalog;
  std::uint64_t records = take_sums(sink, tally);
  for (auto& [event, state] : events_) {
    if (event >= tally.counts.size()) continue;
    const auto count = tracer_->count(event);
    tally.counts[event] += count - state.counted;
    records += count - std::exchange(state.counted, count);
    if (!state.on) continue;
    int mode = tally.only_counts(event) ? probe_counted : probe_recorded;
    std::uint8_t adder = probe_adders_max;
    if (const auto arguments = sink.only_sums(event)) {
      if (const auto found = adder_for(event, *arguments)) {
        mode = probe_summed;
        adder = *found;
      }
    }
    if (state.mode != mode || state.adder != adder || described_anew) set_mode(event, mode, adder);
  }
  decoder_.add_counted(records);
  if (records > 0) sink.on_tallied(records, std::nullopt);
}

/// What the kernel added up since. Returns how many records that were.
std::uint64_t UsdtSource::take_sums(trace::RecordSink& sink, const trace::Tally& tally) {
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < adders_.size(); ++i) {
    auto& adder = adders_[i];
    if (adder.event >= tally.counts.size()) continue;
    const auto now = tracer_->totals(static_cast<std::uint32_t>(i));
    const auto records = now.records - adder.told.records;
    std::array<std::uint64_t, probe_sums_max> sums{};
    for (std::size_t at = 0; at < sums.size(); ++at) sums[at] = now.sums[at] - adder.told.sums[at];
    adder.told = now;
    // Sums may have come of a record that is counted only then.
    const bool any = std::ranges::any_of(sums, [](std::uint64_t sum) { return sum > 0; });
    if (records == 0 && !any) continue;
    tally.counts[adder.event] += records;
    all += records;
    sink.on_summed(adder.event, records, adder.arguments, sums);
  }
  return all;
}

trace::FeedTotals UsdtSource::totals() const {
  trace::FeedTotals totals;
  totals.bytes_read = bytes_read_;
  totals.mismatches = decoder_.unreadable();
  totals.decoder = decoder_.stats();
  return totals;
}

std::string UsdtSource::place() const {
  const auto& exe = options_.process.exe;
  return "probes in " + (exe.empty() ? program_of(options_.process.pid) : exe);
}

std::vector<std::string> UsdtSource::problems() const {
  std::vector<std::string> lines;
  std::vector<std::string> absent;
  for (const auto& [event, state] : events_) {
    if (!state.on) continue;
    const auto& name = options_.events.name(event);
    if (state.bare)
      lines.push_back(name + " has an argument that libbpf cannot find, and is counted by name");
    if (state.absent) absent.push_back(name);
  }
  if (!absent.empty()) {
    lines.push_back(
        "on, but QEMU's code had no probe of them when they went on (if QEMU has loaded a module "
        "of "
        "theirs since, switch them off and on): " +
        shortened(absent));
  }
  if (const auto count = decoder_.unreadable(); count > 0) {
    lines.push_back(std::to_string(count) +
                    " records have an argument that could not be read, and are counted by name");
  }
  return lines;
}

std::vector<std::string> UsdtSource::unknown() const {
  return {"whether others (bpftrace, SystemTap, perf) are attached to the same probes"};
}

}  // namespace

std::unique_ptr<TraceSource> make_usdt_source(TraceSourceOptions options) {
  return std::make_unique<UsdtSource>(std::move(options));
}

}  // namespace qemon::daemon
