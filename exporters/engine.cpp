#include "exporters/engine.hpp"

#include <algorithm>
#include <utility>

namespace qemon::exporters {

Engine::~Engine() = default;

void Engine::run_packs(const trace::Record& record) {
  const Group& group = groups_[group_of_[record.event]];
  const bool readable = group.needs_arguments && record.decoder != nullptr &&
                        record.decoder->arguments(record, arguments_);
  if (readable) {
    for (const auto* rule : group.rules) rule->apply(record, arguments_);
  } else {
    for (const auto* rule : group.rules) rule->apply_unreadable(record);
  }
}

trace::Tally Engine::tally() {
  const auto size = events_.size();
  if (group_of_.size() < size) group_of_.resize(size);
  return {counters_.counts_of(size), std::span(group_of_).first(size)};
}

std::optional<std::span<const std::uint8_t>> Engine::only_sums(trace::EventIndex event) const {
  if (event >= group_of_.size() || group_of_[event] == 0) return std::nullopt;
  const Group& group = groups_[group_of_[event]];
  if (!group.only_sums) return std::nullopt;
  return group.summed;
}

void Engine::on_summed(trace::EventIndex event, std::uint64_t records,
                       std::span<const std::uint8_t> arguments,
                       std::span<const std::uint64_t> sums) {
  if (event >= group_of_.size() || group_of_[event] == 0) return;
  for (const auto* rule : groups_[group_of_[event]].rules)
    rule->apply_summed(records, arguments, sums);
}

void Engine::on_loss(std::uint64_t count) {
  counters_.on_loss(count);
  discard_pairs();
}

void Engine::on_restart() {
  discard_pairs();
}

void Engine::discard_pairs() {
  for (const auto& plan : plans_) plan.bound->discard_pairs();
}

void Engine::event_switched(trace::EventIndex event) {
  for (const auto& plan : plans_) plan.bound->discard_pairs(event);
}

bool Engine::use(std::span<const std::shared_ptr<const Pack>> packs) {
  std::vector<Plan> plans;
  bool changed = packs.size() != plans_.size();
  for (const auto& pack : packs) {
    const auto before = std::find_if(plans_.begin(), plans_.end(), [&](const Plan& plan) {
      return plan.pack == pack && !plan.feeds_replaced &&
             plan.catalog_generation == events_.catalog_generation() &&
             plan.event_count == events_.size();
    });
    Plan plan;
    if (before != plans_.end()) {
      plan = std::move(*before);
      plans_.erase(before);
    } else {
      changed = true;
      plan.pack = pack;
      plan.catalog_generation = events_.catalog_generation();
      plan.event_count = events_.size();
      plan.bound = std::make_unique<BoundPack>(
          *pack, events_, [this](const Rule& rule) -> Metric& { return metric_for(rule); });
    }
    plans.push_back(std::move(plan));
  }
  plans_ = std::move(plans);
  std::erase_if(replaced_, [&](const auto& metric) {
    return std::none_of(plans_.begin(), plans_.end(),
                        [&](const Plan& plan) { return plan.bound->feeds(*metric); });
  });
  if (changed) index();
  return changed;
}

void Engine::begin_process() {
  for (auto& [name, metric] : metrics_) {
    if (!metric->tells_addresses) continue;
    for (auto& plan : plans_) plan.feeds_replaced |= plan.bound->feeds(*metric);
    auto next = metric->successor();
    replaced_.push_back(std::exchange(metric, std::move(next)));
  }
}

/// The metric that a rule feeds. One of another shape cannot go on, and is begun anew.
Metric& Engine::metric_for(const Rule& rule) {
  auto& metric = metrics_[rule.metric];
  if (metric && metric->shape() == rule.shape) {
    if (!rule.help.empty()) metric->set_help(rule.help);
    return *metric;
  }
  if (metric) replaced_.push_back(std::move(metric));
  metric = std::make_unique<Metric>(rule.metric, rule.help, rule.shape);
  return *metric;
}

void Engine::index() {
  group_of_.clear();
  groups_.assign(1, Group{});
  for (const auto& plan : plans_) {
    for (const auto& entry : plan.bound->entries()) {
      if (entry.event >= group_of_.size()) group_of_.resize(std::size_t{entry.event} + 1);
      if (group_of_[entry.event] == 0) {
        group_of_[entry.event] = static_cast<std::uint16_t>(groups_.size());
        groups_.emplace_back();
      }
      auto& group = groups_[group_of_[entry.event]];
      group.rules.push_back(&entry.rule);
      group.needs_arguments |= entry.rule.needs_arguments();
      const auto adds = entry.rule.only_adds();
      group.only_sums &= adds.has_value();
      if (adds && adds->argument)
        group.summed.push_back(static_cast<std::uint8_t>(*adds->argument));
    }
  }
  for (auto& group : groups_) {
    std::ranges::sort(group.summed);
    group.summed.erase(std::unique(group.summed.begin(), group.summed.end()), group.summed.end());
  }
}

const BoundPack* Engine::bound(const std::string& pack) const {
  const auto found = std::find_if(plans_.begin(), plans_.end(),
                                  [&](const Plan& plan) { return plan.pack->name == pack; });
  return found == plans_.end() ? nullptr : found->bound.get();
}

Metric* Engine::find(const std::string& metric) const {
  const auto found = metrics_.find(metric);
  return found == metrics_.end() ? nullptr : found->second.get();
}

std::size_t Engine::in_flight(const Metric& metric) const {
  std::size_t count = 0;
  for (const auto& plan : plans_) count += plan.bound->in_flight(metric);
  return count;
}

}  // namespace qemon::exporters
