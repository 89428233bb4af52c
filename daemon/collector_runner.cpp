#include "daemon/collector_runner.hpp"

#include <algorithm>
#include <utility>

#include "qmp/error.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// A poll may take up at most a fiftieth of QEMU's main loop.
constexpr int share_of_main_loop = 50;
constexpr int stretched_max = 10;  // Times the interval.
constexpr auto command_deadline = 5s;

/// Scrapes may still hold `figures`, so they get a copy's place instead of being changed.
void drop_gauges(std::shared_ptr<const Figures>& figures) {
  auto kept = *figures;
  std::erase_if(kept, [](const prometheus::MetricFamily& family) {
    return family.type == prometheus::MetricType::Gauge;
  });
  figures = std::make_shared<const Figures>(std::move(kept));
}

}  // namespace

CollectorRunner::CollectorRunner() {
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
    if (!entry.on) {
      entry.finish_due |= was_on && in_session_ && entry.available && entry.collector.finish;
      entry.figures = std::make_shared<const Figures>();
      entry.success.reset();
      entry.problem.clear();
      entry.due = Clock::time_point::max();
    } else if (in_session_ && entry.available && !was_on) {
      entry.finish_due = false;
      entry.due = Clock::now();
    }
  }
}

void CollectorRunner::begin_session(std::set<std::string> commands, bool has_process,
                                    std::size_t seed) {
  commands_ = std::move(commands);
  has_process_ = has_process;
  in_session_ = true;
  ++session_;
  const auto now = Clock::now();
  std::size_t place = seed;
  for (auto& entry : entries_) {
    entry.available = is_available(entry.collector);
    entry.finish_due = false;
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
    entry.figures = std::make_shared<const Figures>();
    entry.success.reset();
    entry.problem.clear();
    entry.due = Clock::time_point::max();
  }
}

void CollectorRunner::doubt() {
  for (auto& entry : entries_) drop_gauges(entry.figures);
}

bool CollectorRunner::is_available(const Collector& collector) const {
  if (collector.needs_process && !has_process_) return false;
  return std::all_of(collector.needs.begin(), collector.needs.end(),
                     [&](const std::string& command) { return commands_.contains(command); });
}

CollectorRunner::Clock::time_point CollectorRunner::next_due() const {
  auto next = Clock::time_point::max();
  for (const auto& entry : entries_)
    next = std::min(next, entry.finish_due ? Clock::time_point::min() : entry.due);
  return next;
}

CollectorRunner::Entry* CollectorRunner::due_now() {
  const auto first = std::min_element(entries_.begin(), entries_.end(),
                                      [](const Entry& a, const Entry& b) { return a.due < b.due; });
  return first != entries_.end() && first->due <= Clock::now() ? &*first : nullptr;
}

CollectorView CollectorRunner::view(qmp::Client& client, const qmp::Identity& identity,
                                    const std::optional<ProcessInfo>& process) const {
  return {client, identity, process, commands_, session_, command_deadline};
}

asio::awaitable<Result<void>> CollectorRunner::poll_one(qmp::Client& client,
                                                        const qmp::Identity& identity,
                                                        const std::optional<ProcessInfo>& process) {
  for (auto& entry : entries_) {
    if (!std::exchange(entry.finish_due, false)) continue;
    const auto may_use = view(client, identity, process);
    co_return co_await entry.collector.finish(may_use);
  }
  Entry* const entry = due_now();
  if (entry == nullptr) co_return Result<void>();
  const auto begin = Clock::now();
  const auto session = session_;
  const auto may_use = view(client, identity, process);
  auto found = co_await entry->collector.poll(may_use);
  const auto end = Clock::now();
  // Another session, or switched off meanwhile: what was found is not wanted any more.
  if (!in_session_ || session != session_ || !entry->on) co_return Result<void>();
  entry->duration_seconds = std::chrono::duration<double>(end - begin).count();
  // A failure tells nothing of what an answer costs.
  const Clock::duration paced = found ? (end - begin) * share_of_main_loop : Clock::duration{0};
  const Clock::duration interval = entry->interval;
  entry->due = begin + std::clamp(paced, interval, interval * stretched_max);
  entry->success = found.has_value();
  if (!found) {
    drop_gauges(entry->figures);
    entry->problem = found.error().detail;
    co_return found.error();
  }
  entry->problem.clear();
  entry->figures = std::make_shared<const Figures>(std::move(*found));
  entry->last_success_timestamp =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  co_return Result<void>();
}

asio::awaitable<void> CollectorRunner::finish(qmp::Client& client, const qmp::Identity& identity,
                                              const std::optional<ProcessInfo>& process) {
  for (auto& entry : entries_) {
    if (!entry.collector.finish || !entry.available || !(entry.on || entry.finish_due)) continue;
    const auto may_use = view(client, identity, process);
    const auto done = co_await entry.collector.finish(may_use);
    if (!done && done.error().code == qmp::errc::timed_out) co_return;
  }
}

std::vector<CollectorRunner::Health> CollectorRunner::health() const {
  std::vector<Health> all;
  for (const auto& entry : entries_) {
    if (!entry.on || !entry.available || !in_session_) continue;
    all.push_back({entry.collector.name, entry.success, entry.duration_seconds,
                   entry.last_success_timestamp});
  }
  return all;
}

std::vector<std::string> CollectorRunner::problems() const {
  std::vector<std::string> lines;
  for (const auto& entry : entries_)
    if (!entry.problem.empty())
      lines.push_back("collector " + entry.collector.name + ": " + entry.problem);
  return lines;
}

std::vector<std::shared_ptr<const Figures>> CollectorRunner::figures() const {
  std::vector<std::shared_ptr<const Figures>> all;
  for (const auto& entry : entries_)
    if (!entry.figures->empty()) all.push_back(entry.figures);
  return all;
}

}  // namespace qemon::daemon
