#include "daemon/collector_runner.hpp"

#include <algorithm>
#include <utility>

#include "daemon/plugin_level.hpp"
#include "qmp/error.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// A poll may take up at most a fiftieth of QEMU's main loop.
constexpr int share_of_main_loop = 50;
constexpr int stretched_max = 10;  // Times the interval.
constexpr auto default_command_deadline = 5s;

/// Scrapes may still hold what was found, so a copy takes its place instead of a change.
void drop_gauges(std::shared_ptr<const exporters::FamilyTexts>& found) {
  if (!found) return;
  auto kept = std::make_shared<exporters::FamilyTexts>();
  for (const auto& family : *found)
    if (family.header->type != prometheus::MetricType::Gauge) kept->push_back(family);
  found = std::move(kept);
}

}  // namespace

CollectorRunner::CollectorRunner(exporters::FamilyTextMaker& texts,
                                 std::function<Result<void>()> write_journal)
    : texts_(texts), write_journal_(std::move(write_journal)) {
  for (auto& collector : make_collectors()) {
    Entry entry;
    entry.collector = std::move(collector);
    entries_.push_back(std::move(entry));
  }
  configure({});
}

void CollectorRunner::configure(const std::map<std::string, CollectorSettings>& settings) {
  for (auto& entry : entries_) {
    const auto told = settings.find(entry.collector.name);
    const CollectorSettings wish = told == settings.end() ? CollectorSettings{} : told->second;
    const bool was_on = entry.on;
    entry.on = wish.on.value_or(entry.collector.on_by_default);
    entry.interval = wish.interval.value_or(entry.collector.interval);
    entry.deadline = wish.deadline.value_or(default_command_deadline);
    if (!entry.on) {
      if (was_on && in_session_ && entry.available && entry.collector.finish)
        entry.finish_due = Clock::now();
      entry.found.reset();
      entry.success.reset();
      entry.problem.clear();
      entry.due = Clock::time_point::max();
    } else if (in_session_ && entry.available && !was_on) {
      entry.finish_due.reset();
      entry.due = Clock::now();
    }
  }
}

Result<void> CollectorRunner::switch_plugin_level(const std::string& path, std::uint32_t wanted,
                                                  std::optional<BootClock::time_point> until) {
  return daemon::switch_plugin_level(path, wanted, until, changed_.plugin_level, write_journal_);
}

Result<void> CollectorRunner::end_plugin_level() {
  auto& level = changed_.plugin_level;
  if (!level) return Result<void>();
  if (auto back = put_plugin_level_back(*level); !back) {
    if (level->until) level->until = BootClock::now() + 10s;
    return back;
  }
  level.reset();
  return write_journal_();
}

void CollectorRunner::begin_session(std::shared_ptr<const std::set<std::string>> commands,
                                    bool has_process, std::size_t seed) {
  has_monitor_ = commands != nullptr;
  if (commands) commands_ = std::move(commands);
  has_process_ = has_process;
  in_session_ = true;
  ++session_;
  const auto now = Clock::now();
  std::size_t place = seed;
  for (auto& entry : entries_) {
    entry.available = is_available(entry.collector);
    // One that is off may have left something behind in an earlier session, or life of qemond.
    entry.finish_due.reset();
    if (!entry.on && entry.available && entry.collector.finish && changed_.any())
      entry.finish_due = now;
    entry.due = Clock::time_point::max();
    if (!entry.on || !entry.available) continue;
    // Somewhere within the first two seconds, and not all VMs at once.
    place = place * 6364136223846793005U + 1442695040888963407U;
    entry.due = now + std::chrono::milliseconds((place >> 33U) % 2000);
  }
}

void CollectorRunner::end_session() {
  in_session_ = false;
  for (auto& entry : entries_) {
    entry.found.reset();
    entry.success.reset();
    entry.problem.clear();
    entry.due = Clock::time_point::max();
  }
}

void CollectorRunner::doubt() {
  for (auto& entry : entries_) drop_gauges(entry.found);
}

bool CollectorRunner::is_available(const Collector& collector) const {
  if (collector.needs_process && !has_process_) return false;
  if (!has_monitor_) return !collector.needs_monitor;
  return std::all_of(collector.needs.begin(), collector.needs.end(),
                     [&](const std::string& command) { return commands_->contains(command); });
}

CollectorRunner::Clock::time_point CollectorRunner::next_due() const {
  auto next = Clock::time_point::max();
  for (const auto& entry : entries_) next = std::min(next, entry.finish_due.value_or(entry.due));
  return next;
}

CollectorRunner::Entry* CollectorRunner::due_now() {
  const auto first = std::min_element(entries_.begin(), entries_.end(),
                                      [](const Entry& a, const Entry& b) { return a.due < b.due; });
  return first != entries_.end() && first->due <= Clock::now() ? &*first : nullptr;
}

CollectorView CollectorRunner::view(const Entry& entry, qmp::Client* client,
                                    const qmp::Identity& identity,
                                    const std::optional<ProcessInfo>& process) {
  return {client,   identity,       process,  plugin_path_,  *commands_,
          session_, entry.deadline, changed_, write_journal_};
}

asio::awaitable<Result<void>> CollectorRunner::poll_one(qmp::Client* client,
                                                        const qmp::Identity& identity,
                                                        const std::optional<ProcessInfo>& process) {
  for (auto& entry : entries_) {
    if (!entry.finish_due || *entry.finish_due > Clock::now()) continue;
    const auto may_use = view(entry, client, identity, process);
    // Tried again as often as it would be polled, unless it is switched on meanwhile.
    entry.finish_due = Clock::now() + entry.interval;
    auto finished = co_await entry.collector.finish(may_use);
    if (finished) entry.finish_due.reset();
    co_return finished;
  }
  Entry* const entry = due_now();
  if (entry == nullptr) co_return Result<void>();
  co_return co_await poll(*entry, client, identity, process);
}

asio::awaitable<std::vector<std::pair<std::string, std::string>>> CollectorRunner::poll_all(
    qmp::Client* client, const qmp::Identity& identity, const std::optional<ProcessInfo>& process) {
  std::vector<std::pair<std::string, std::string>> failed;
  std::string given_up;
  const auto session = session_;
  for (auto& entry : entries_) {
    if (!entry.on || !entry.available) continue;
    if (!in_session_ || session != session_) given_up = "the session ended";
    if (given_up.empty()) {
      const auto polled = co_await poll(entry, client, identity, process);
      if (polled) continue;
      failed.emplace_back(entry.collector.name, polled.error().detail);
      if (polled.error().code == qmp::errc::timed_out) given_up = polled.error().detail;
    } else {
      failed.emplace_back(entry.collector.name, given_up);
    }
  }
  co_return failed;
}

asio::awaitable<Result<void>> CollectorRunner::poll(Entry& polled, qmp::Client* client,
                                                    const qmp::Identity& identity,
                                                    const std::optional<ProcessInfo>& process) {
  Entry* const entry = &polled;
  const auto begin = Clock::now();
  const auto answered = [client] {
    return client == nullptr ? Clock::duration(0) : client->statistics().round_trip_sum;
  };
  const auto answered_before = answered();
  const auto session = session_;
  const auto may_use = view(*entry, client, identity, process);
  auto found = co_await entry->collector.poll(may_use);
  const auto end = Clock::now();
  // Another session, or switched off meanwhile: what was found is not wanted any more.
  if (!in_session_ || session != session_ || !entry->on) co_return Result<void>();
  entry->duration_seconds = std::chrono::duration<double>(end - begin).count();
  entry->success = found.has_value();
  if (!found) {
    // A failure tells nothing of what an answer costs.
    pace(*entry, begin, std::nullopt);
    drop_gauges(entry->found);
    entry->problem = found.error().detail;
    co_return found.error();
  }
  pace(*entry, begin, answered() - answered_before);
  entry->problem.clear();
  entry->found = texts_.make(std::move(*found), vm_);
  entry->last_success_timestamp =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  co_return Result<void>();
}

/// When a collector has its next turn. `cost` is what its commands took of QEMU's main loop at
/// most. What is believed of it doubles at most from one poll to the next, since an answer may also
/// have been late because we were.
void CollectorRunner::pace(Entry& entry, Clock::time_point begin,
                           std::optional<Clock::duration> cost) {
  constexpr Clock::duration cheap = 2ms;
  const Clock::duration interval = entry.interval;
  Clock::duration paced{0};
  if (cost) {
    entry.cost = std::min(*cost, std::max(cheap, 2 * entry.cost));
    paced = entry.cost * share_of_main_loop;
  }
  entry.due = begin + std::clamp(paced, interval, interval * stretched_max);
}

asio::awaitable<void> CollectorRunner::finish(qmp::Client* client, const qmp::Identity& identity,
                                              const std::optional<ProcessInfo>& process) {
  for (auto& entry : entries_) {
    if (!entry.collector.finish || !entry.available || !(entry.on || entry.finish_due)) continue;
    const auto may_use = view(entry, client, identity, process);
    const auto done = co_await entry.collector.finish(may_use);
    if (!done && done.error().code == qmp::errc::timed_out) co_return;
  }
}

std::optional<CollectorRunner::Health> CollectorRunner::health_of(const Entry& entry) const {
  const bool is_asked = entry.available && in_session_;
  if (!entry.on || (!is_asked && !entry.last_success_timestamp)) return std::nullopt;
  return Health{entry.collector.name, entry.success, entry.duration_seconds,
                entry.last_success_timestamp};
}

std::vector<std::string> CollectorRunner::problems() const {
  std::vector<std::string> lines;
  for (const auto& entry : entries_)
    if (!entry.problem.empty())
      lines.push_back("collector " + entry.collector.name + ": " + entry.problem);
  return lines;
}

}  // namespace qemon::daemon
