#include "exporters/bound_rule.hpp"

#include <algorithm>
#include <limits>

namespace qemon::exporters {

BoundRule::BoundRule(const Rule& rule, Side side, std::string_view event_name,
                     const trace::CatalogEvent* event, Metric& metric, PairTable* pairs,
                     Mistakes& mistakes)
    : kind_(rule.shape.kind), side_(side), keep_(rule.keep), metric_(&metric), pairs_(pairs) {
  const bool end = side == Side::end;
  if (const auto& when = end ? rule.end_when : rule.when)
    when_ = bind(rule, end ? "end_when" : "when", *when, event_name, event, mistakes);
  static constexpr const char* value_keys[] = {"add", "value",   "observe",
                                               "key", "address", "value"};
  if (kind_ != MetricKind::latency)
    value_ = bind(rule, value_keys[static_cast<std::size_t>(kind_)], rule.value, event_name, event,
                  mistakes);
  const bool own_key = end && !rule.end_key.empty();
  for (const auto& part : own_key ? rule.end_key : rule.key)
    key_.push_back(bind(rule, own_key ? "end_key" : "key", part, event_name, event, mistakes));
  bind_labels(rule, event_name, event, mistakes);
  metric_->can_overflow |= open_ != 0;
  const bool by_value = kind_ == MetricKind::heatmap || kind_ == MetricKind::topk;
  metric_->tells_addresses |= by_value && event != nullptr && uses_pointer(rule.value, *event);
  for (const auto& [place, label] : labels_) metric_->tells_addresses |= label.is_address();
}

BoundExpression BoundRule::bind(const Rule& rule, const std::string& key,
                                const Expression& expression, std::string_view event_name,
                                const trace::CatalogEvent* event, Mistakes& mistakes) {
  static const trace::CatalogEvent undescribed;
  const bool unknown = event == nullptr && !expression.names().empty();
  auto bound = unknown ? Result<BoundExpression>(not_described(event_name))
                       : expression.bind(event == nullptr ? undescribed : *event);
  if (!bound) {
    mistakes.add(rule.line_of(key), key + ": " + bound.error().detail);
    return {};
  }
  needs_arguments_ |= bound->needs_arguments();
  return std::move(*bound);
}

void BoundRule::bind_labels(const Rule& rule, std::string_view event_name,
                            const trace::CatalogEvent* event, Mistakes& mistakes) {
  bool all_fixed = true;
  for (std::size_t i = 0; i < rule.labels.size(); ++i) {
    const auto& label = rule.labels[i];
    // A label by event belongs to the side whose events it tells.
    bool of_end = label.from_end;
    if (label.source == LabelRule::Source::by_event) {
      of_end = std::none_of(rule.events.begin(), rule.events.end(), [&](const EventChoice& choice) {
        return std::any_of(choice.names.begin(), choice.names.end(),
                           [&](const std::string& name) { return label.by_event.contains(name); });
      });
    }
    if (label.is_open()) open_ |= 1U << i;
    if (side_ != Side::single && of_end != (side_ == Side::end)) continue;
    labels_.emplace_back(i, BoundLabel(label, event_name, event, metric_->series(), mistakes));
    needs_arguments_ |= labels_.back().second.needs_arguments();
    all_fixed &= !labels_.back().second.needs_arguments();
  }
  all_fixed_ = all_fixed;
  const auto varies = [](const auto& each) { return each.second.needs_arguments(); };
  const auto varying = std::ranges::find_if(labels_, varies);
  if (side_ == Side::single && std::ranges::count_if(labels_, varies) == 1 &&
      varying->second.number() != nullptr)
    memo_.emplace(varying->second.number()->small());
}

void BoundRule::declare(const BoundRule* other) {
  if (kind_ == MetricKind::heatmap || kind_ == MetricKind::topk) return;
  const auto count = metric_->shape().labels.size();
  std::vector<std::vector<LabelCode>> values(count);
  for (const auto& [place, label] : labels_) values[place] = label.declared();
  if (other != nullptr)
    for (const auto& [place, label] : other->labels_) values[place] = label.declared();
  std::size_t combinations = 1;
  for (const auto& each : values) combinations *= std::min<std::size_t>(each.size(), 10'000);
  // A label whose values only records tell leaves nothing to declare, and so do too many.
  if (combinations > metric_->shape().limit) {
    metric_->can_overflow = true;
    return;
  }
  Codes codes;
  for (std::size_t i = 0; i < combinations; ++i) {
    std::size_t rest = i;
    for (std::size_t label = 0; label < count; ++label) {
      codes[label] = values[label][rest % values[label].size()];
      rest /= values[label].size();
    }
    metric_->declare(std::span(codes).first(count));
  }
  if (all_fixed_ && (other == nullptr || other->labels_.empty()))
    fixed_series_ = metric_->series().declare(std::span(codes).first(count));
}

void BoundRule::apply_unreadable(const trace::Record& record) const {
  static const trace::Arguments none{};
  if (needs_arguments_) return count(EvaluationError::arguments);
  apply(record, none);
}

std::optional<Proportion> BoundRule::only_adds() const {
  // So that no value that is summed up can overflow alone.
  constexpr std::int64_t factor_max = 1 << 20;
  static_assert(trace::summed_value_max <= std::numeric_limits<std::int64_t>::max() / factor_max);
  if (kind_ != MetricKind::counter || when_ || fixed_series_ == SeriesTable::none)
    return std::nullopt;
  const auto adds = value_.small().proportion();
  if (!adds || adds->factor < 0 || adds->factor > factor_max) return std::nullopt;
  return adds;
}

void BoundRule::apply_summed(std::uint64_t records, std::span<const std::uint8_t> arguments,
                             std::span<const std::uint64_t> sums) const {
  const auto adds = only_adds();
  if (!adds) return;
  std::uint64_t amount = records;
  if (adds->argument) {
    const auto found = std::ranges::find(arguments, *adds->argument);
    // Not read when they came.
    if (found == arguments.end()) return;
    amount = sums[static_cast<std::size_t>(found - arguments.begin())];
  }
  const bool fits =
      !__builtin_mul_overflow(amount, static_cast<std::uint64_t>(adds->factor), &amount);
  if (!fits || !metric_->add(fixed_series_, amount))
    metric_->errors[static_cast<std::size_t>(EvaluationError::overflow)] += records;
}

void BoundRule::apply_latency(const trace::Record& record,
                              const trace::Arguments& arguments) const {
  const bool begins = side_ == Side::begin;
  if (!record.has_time || (begins && fixed_series_ == SeriesTable::none))
    return apply_exactly(record, arguments);
  PairTable::Key key{};
  for (std::size_t i = 0; i < key_.size(); ++i) {
    std::int64_t part = 0;
    if (!key_[i].small().evaluate(arguments, part)) return apply_exactly(record, arguments);
    key[i] = static_cast<std::uint64_t>(part);
  }
  if (begins) {
    if (auto* const pair = pairs_->begin(key, record.time_ns)) pair->series = fixed_series_;
    return;
  }
  count(end(key, record.time_ns, arguments));
}

void BoundRule::apply_exactly(const trace::Record& record,
                              const trace::Arguments& arguments) const {
  count(use(record, arguments));
}

void BoundRule::count(EvaluationError error) const {
  if (error != EvaluationError::none) ++metric_->errors[static_cast<std::size_t>(error)];
}

EvaluationError BoundRule::use(const trace::Record& record,
                               const trace::Arguments& arguments) const {
  if (when_) {
    Integer wanted = 0;
    const auto error = when_->evaluate(arguments, wanted);
    if (error != EvaluationError::none || wanted == 0) return error;
  }
  return kind_ == MetricKind::latency ? begin_or_end(record, arguments) : use_value(arguments);
}

EvaluationError BoundRule::use_value(const trace::Arguments& arguments) const {
  Integer value = 0;
  auto error = value_.evaluate(arguments, value);
  if (error != EvaluationError::none) return error;
  if (kind_ == MetricKind::heatmap || kind_ == MetricKind::topk) {
    metric_->hit(static_cast<std::uint64_t>(value));
    return EvaluationError::none;
  }
  if (value < 0 && kind_ != MetricKind::gauge) return EvaluationError::negative;
  std::uint32_t series = fixed_series_;
  if (series == SeriesTable::none) {
    error = find_series(arguments, series);
    if (error != EvaluationError::none) return error;
  }
  if (kind_ == MetricKind::counter) {
    if (!metric_->add(series, static_cast<std::uint64_t>(value))) return EvaluationError::overflow;
  } else if (kind_ == MetricKind::gauge) {
    metric_->set(series, value, keep_);
  } else {
    metric_->observe_large(series, value);
  }
  return EvaluationError::none;
}

EvaluationError BoundRule::begin_or_end(const trace::Record& record,
                                        const trace::Arguments& arguments) const {
  if (!record.has_time) {
    ++metric_->untimed_records;
    return EvaluationError::none;
  }
  PairTable::Key key{};
  for (std::size_t i = 0; i < key_.size(); ++i) {
    Integer part = 0;
    const auto error = key_[i].evaluate(arguments, part);
    if (error != EvaluationError::none) return error;
    key[i] = static_cast<std::uint64_t>(part);
  }
  if (side_ == Side::begin) {
    Codes codes;
    const auto error = evaluate_labels(arguments, codes);
    if (error != EvaluationError::none) return error;
    if (auto* const pair = pairs_->begin(key, record.time_ns)) {
      pair->labels = codes;
      pair->series = fixed_series_;
    }
    return EvaluationError::none;
  }
  return end(key, record.time_ns, arguments);
}

EvaluationError BoundRule::end(const PairTable::Key& key, std::int64_t time_ns,
                               const trace::Arguments& arguments) const {
  auto* const pair = pairs_->end(key, time_ns);
  if (pair == nullptr) return EvaluationError::none;
  const auto duration = elapsed_ns(pair->begin_ns, time_ns);
  if (duration < 0) return EvaluationError::negative;
  std::uint32_t series = pair->series;
  if (series == SeriesTable::none) {
    const auto error = evaluate_labels(arguments, pair->labels);
    if (error != EvaluationError::none) return error;
    series = series_of(pair->labels);
  }
  pairs_->count(PairOutcome::matched);
  metric_->observe(series, duration);
  return EvaluationError::none;
}

EvaluationError BoundRule::find_series(const trace::Arguments& arguments,
                                       std::uint32_t& series) const {
  Codes codes;
  const auto error = evaluate_labels(arguments, codes);
  if (error != EvaluationError::none) return error;
  // What goes over the limit is to be counted there each time.
  const auto overflow = metric_->series().overflow();
  series = series_of(codes);
  if (memo_ && metric_->series().overflow() == overflow) memo_->keep(arguments, series);
  return EvaluationError::none;
}

EvaluationError BoundRule::evaluate_labels(const trace::Arguments& arguments, Codes& codes) const {
  for (const auto& [place, label] : labels_) {
    const auto error = label.evaluate(arguments, metric_->series(), codes[place]);
    if (error != EvaluationError::none) return error;
  }
  return EvaluationError::none;
}

std::uint32_t BoundRule::series_of(const Codes& codes) const {
  return metric_->series().find_or_add(std::span(codes).first(metric_->shape().labels.size()),
                                       open_);
}

}  // namespace qemon::exporters
