#include "exporters/engine_metrics.hpp"

#include <limits>
#include <map>
#include <utility>

#include "base/text.hpp"
#include "base/utf8.hpp"

namespace qemon::exporters {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

constexpr std::string_view error_suffix = "_error";

ClientMetric& add_metric(MetricFamily& family, std::string_view vm) {
  auto& metric = family.metric.emplace_back();
  metric.label.push_back({"vm", to_valid_utf8(vm)});
  return metric;
}

void add_label(ClientMetric& metric, const std::string& name, std::string_view value) {
  metric.label.push_back({name, to_valid_utf8(value)});
}

double shown(Integer value, std::int64_t scale) {
  // One rounding only: long double holds every 64-bit integer.
  return static_cast<double>(static_cast<long double>(value) / static_cast<long double>(scale));
}

MetricFamily empty_family(const Metric& metric) {
  switch (metric.shape().kind) {
    case MetricKind::counter:
    case MetricKind::heatmap:
      return counter_family(metric.name(), metric.help());
    case MetricKind::gauge:
    case MetricKind::topk:
      return gauge_family(metric.name(), metric.help());
    case MetricKind::histogram:
    case MetricKind::latency:
      return histogram_family(metric.name(), metric.help());
  }
  return {};
}

/// Adds the samples of one metric of one VM to its family.
class SampleAdder {
 public:
  SampleAdder(MetricFamily& family, std::string_view vm, const Metric& metric)
      : family_(family), vm_(vm), metric_(metric), scale_(per_shown(metric.shape().unit)) {}

  void operator()(const CounterValues& counters) {
    for (std::size_t i = 0; i < counters.values.size(); ++i)
      add_series(i).counter.value = shown(counters.values[i], scale_);
  }
  void operator()(const GaugeValues& gauges) {
    for (std::size_t i = 0; i < gauges.values.size(); ++i)
      if (gauges.values[i]) add_series(i).gauge.value = shown(*gauges.values[i], scale_);
  }
  void operator()(const HistogramValues& histogram) {
    const auto& bounds = metric_.shape().buckets.bounds;
    for (std::size_t i = 0; i < histogram.sums.size(); ++i) {
      auto& into = add_series(i).histogram;
      std::uint64_t count = 0;
      for (std::size_t bucket = 0; bucket <= bounds.size(); ++bucket) {
        count += histogram.counts[i * (bounds.size() + 1) + bucket];
        into.bucket.push_back({count, bucket < bounds.size()
                                          ? shown(bounds[bucket], scale_)
                                          : std::numeric_limits<double>::infinity()});
      }
      into.sample_count = count;
      into.sample_sum = shown(histogram.sums[i], scale_);
    }
  }
  void operator()(const HeatMap& heat) {
    for (const auto& range : heat.series())
      add_value(hexadecimal(range.address)).counter.value = static_cast<double>(range.count);
    add_value("__other__").counter.value = static_cast<double>(heat.other());
  }
  void operator()(const TopValues& top) {
    const bool errors = family_.name != metric_.name();
    for (const auto& entry : top.top(metric_.shape().top)) {
      const auto text =
          metric_.shape().hex ? hexadecimal(entry.value) : std::to_string(entry.value);
      add_value(text).gauge.value = static_cast<double>(errors ? entry.error : entry.count);
    }
  }

 private:
  ClientMetric& add_series(std::size_t series) {
    auto& sample = add_metric(family_, vm_);
    const auto& labels = metric_.shape().labels;
    for (std::size_t i = 0; i < labels.size(); ++i)
      add_label(sample, labels[i], metric_.series().text(series, i));
    return sample;
  }
  ClientMetric& add_value(std::string_view value) {
    auto& sample = add_metric(family_, vm_);
    add_label(sample, metric_.shape().labels.front(), value);
    return sample;
  }

  MetricFamily& family_;
  std::string_view vm_;
  const Metric& metric_;
  std::int64_t scale_;
};

bool is_shown(const Metric& metric, const EngineOfVm& of) {
  if (!metric.is_offered) return false;
  if (metric.shape().kind != MetricKind::latency) return true;
  const auto matched = metric.pairs[static_cast<std::size_t>(PairOutcome::matched)];
  return matched > 0 || (of.has_times && metric.untimed_records == 0);
}

/// All VMs' samples of one metric, or of its errors.
MetricFamily collect(const Engines& engines, const std::string& name, bool errors) {
  MetricFamily family;
  for (const auto& of : engines()) {
    auto* metric = of.engine->find(name);
    if (metric == nullptr || !is_shown(*metric, of)) continue;
    if (errors && metric->shape().kind != MetricKind::topk) continue;
    metric->refresh();
    if (family.name.empty()) {
      family = empty_family(*metric);
      if (errors) {
        family = gauge_family(name + std::string(error_suffix),
                              "By how much " + name + " may be too high.");
      }
    } else if (family.type != empty_family(*metric).type) {
      continue;  // Of a pack that changed the metric's kind, and is not in use on this VM.
    }
    std::visit(SampleAdder(family, of.vm, *metric), metric->values());
  }
  return family;
}

/// A family with one sample for each metric, or for each of its outcomes.
template <typename Add>
MetricFamily account(const Engines& engines, MetricFamily family, Add add) {
  for (const auto& of : engines())
    for (const auto& [name, metric] : of.engine->metrics())
      if (metric->is_offered) add(family, of, *metric);
  return family;
}

MetricFamily collect_overflow(const Engines& engines) {
  return account(
      engines,
      counter_family("qemond_series_overflow_total",
                     "Records counted under __other__, because the metric had as many series as "
                     "its limit allows."),
      [](MetricFamily& family, const EngineOfVm& of, const Metric& metric) {
        if (!metric.can_overflow) return;
        add_sample(family, {{"vm", of.vm}, {"metric", metric.name()}}, metric.overflow());
      });
}

MetricFamily collect_pairs(const Engines& engines) {
  return account(engines,
                 counter_family("qemond_pack_pairs_total",
                                "What became of the begin and end records of latencies."),
                 [](MetricFamily& family, const EngineOfVm& of, const Metric& metric) {
                   if (metric.shape().kind != MetricKind::latency) return;
                   for (std::size_t i = 0; i < pair_outcome_count; ++i) {
                     add_sample(family,
                                {{"vm", of.vm},
                                 {"metric", metric.name()},
                                 {"outcome", to_string(static_cast<PairOutcome>(i))}},
                                metric.pairs[i]);
                   }
                 });
}

MetricFamily collect_in_flight(const Engines& engines) {
  return account(
      engines,
      gauge_family("qemond_pack_pairs_in_flight", "Begin records that wait for their end."),
      [](MetricFamily& family, const EngineOfVm& of, const Metric& metric) {
        if (metric.shape().kind != MetricKind::latency) return;
        add_sample(family, {{"vm", of.vm}, {"metric", metric.name()}},
                   of.engine->in_flight(metric));
      });
}

MetricFamily collect_errors(const Engines& engines) {
  return account(
      engines,
      counter_family("qemond_pack_evaluation_errors_total",
                     "Records that a rule left out, because an expression has no result or the "
                     "arguments could not be read."),
      [](MetricFamily& family, const EngineOfVm& of, const Metric& metric) {
        // Absent at 0: four series a metric that hardly ever count would outnumber what packs are
        // for.
        for (std::size_t i = 1; i < evaluation_error_count; ++i) {
          if (metric.errors[i] == 0) continue;
          add_sample(family,
                     {{"vm", of.vm},
                      {"metric", metric.name()},
                      {"reason", to_string(static_cast<EvaluationError>(i))}},
                     metric.errors[i]);
        }
      });
}

}  // namespace

std::vector<MetricsPage::Collect> pack_families(const Engines& engines) {
  std::map<std::string, std::string> names;  // Of metrics, by that of the family.
  for (const auto& of : engines()) {
    for (const auto& [name, metric] : of.engine->metrics()) {
      names.emplace(name, name);
      if (metric->shape().kind == MetricKind::topk)
        names.emplace(name + std::string(error_suffix), name);
    }
  }
  std::vector<MetricsPage::Collect> families;
  if (names.empty()) return families;
  for (const auto& [family, name] : names)
    families.push_back([&engines, name = name, errors = family != name] {
      return collect(engines, name, errors);
    });
  families.push_back([&engines] { return collect_overflow(engines); });
  families.push_back([&engines] { return collect_pairs(engines); });
  families.push_back([&engines] { return collect_in_flight(engines); });
  families.push_back([&engines] { return collect_errors(engines); });
  return families;
}

}  // namespace qemon::exporters
