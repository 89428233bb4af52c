#include "exporters/bound_pack.hpp"

#include <algorithm>
#include <iterator>

namespace qemon::exporters {
namespace {

/// "lacks the event a", "has none of the events a, b and 3 more".
std::string lacking(const std::vector<EventChoice>& choices) {
  constexpr std::size_t shown_max = 4;
  std::string all;
  std::size_t count = 0;
  for (const auto& choice : choices) {
    for (const auto& name : choice.names) {
      if (++count <= shown_max) all += (all.empty() ? "" : ", ") + name;
    }
  }
  if (count > shown_max) all += " and " + std::to_string(count - shown_max) + " more";
  return (count == 1 ? "lacks the event " : "has none of the events ") + all;
}

}  // namespace

BoundPack::BoundPack(const Pack& pack, const trace::EventTable& events, const MetricOf& metric_of)
    : mistakes_(pack.file) {
  for (const auto& rule : pack.rules) bind(rule, events, metric_of);
}

/// What the VM has of the events, leaving out those that are compiled out.
BoundPack::Chosen BoundPack::choose(const std::vector<EventChoice>& choices,
                                    const trace::EventTable& events) {
  Chosen chosen;
  for (const auto& choice : choices) {
    for (const auto& name : choice.names) {
      const auto event = events.find(name);
      if (!event || !events.is_present(*event)) continue;
      const auto* described = events.described(*event);
      if (described != nullptr && described->disabled) continue;
      chosen.push_back(*event);
      break;
    }
  }
  return chosen;
}

void BoundPack::bind(const Rule& rule, const trace::EventTable& events, const MetricOf& metric_of) {
  const bool is_latency = rule.shape.kind == MetricKind::latency;
  const auto begins = choose(rule.events, events);
  const auto ends = choose(rule.ends, events);
  if (begins.empty() || (is_latency && ends.empty())) {
    left_out_.push_back({&rule, lacking(begins.empty() ? rule.events : rule.ends), true});
    return;
  }
  Metric& metric = metric_of(rule);
  std::unique_ptr<PairTable> pairs;
  if (is_latency)
    pairs = std::make_unique<PairTable>(rule.in_flight_max, rule.timeout_ns, metric.pairs,
                                        rule.key.size());
  Mistakes problems(mistakes_.file());
  std::vector<Entry> bound;
  const auto add = [&](trace::EventIndex event, Side side) {
    bound.push_back({event, BoundRule(rule, side, events.name(event), events.described(event),
                                      metric, pairs.get(), problems)});
  };
  for (const auto event : begins) add(event, is_latency ? Side::begin : Side::single);
  for (const auto event : ends) add(event, Side::end);
  if (!problems.empty()) {
    left_out_.push_back({&rule, problems.lines().front(), false});
    mistakes_.append(problems);
    return;
  }
  for (std::size_t i = 0; i < begins.size(); ++i) {
    if (!is_latency) bound[i].rule.declare(nullptr);
    for (std::size_t j = begins.size(); j < bound.size(); ++j)
      bound[i].rule.declare(&bound[j].rule);
  }
  offered_.push_back(rule.metric);
  metric.is_offered = true;
  if (pairs) latencies_.push_back({&metric, std::move(pairs)});
  std::move(bound.begin(), bound.end(), std::back_inserter(entries_));
}

std::vector<trace::EventIndex> BoundPack::needed_events() const {
  std::vector<trace::EventIndex> needed;
  for (const auto& entry : entries_) needed.push_back(entry.event);
  std::sort(needed.begin(), needed.end());
  needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
  return needed;
}

std::vector<std::pair<std::string, std::string>> BoundPack::not_offered() const {
  std::vector<std::pair<std::string, std::string>> missing;
  for (const auto& each : left_out_) {
    const auto& metric = each.rule->metric;
    if (std::find(offered_.begin(), offered_.end(), metric) != offered_.end()) continue;
    const bool told = std::any_of(missing.begin(), missing.end(),
                                  [&](const auto& other) { return other.first == metric; });
    if (!told) missing.emplace_back(metric, each.why);
  }
  return missing;
}

void BoundPack::discard_pairs() {
  for (const auto& latency : latencies_) latency.pairs->discard();
}

bool BoundPack::feeds(const Metric& metric) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return &entry.rule.metric() == &metric; });
}

std::size_t BoundPack::in_flight(const Metric& metric) const {
  std::size_t count = 0;
  for (const auto& latency : latencies_)
    if (latency.metric == &metric) count += latency.pairs->in_flight();
  return count;
}

void BoundPack::discard_pairs(trace::EventIndex event) {
  for (const auto& entry : entries_)
    if (entry.event == event && entry.rule.pairs() != nullptr) entry.rule.pairs()->discard();
}

}  // namespace qemon::exporters
