#include "daemon/collect_kvm.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

using Kind = KvmStatistic::Kind;
using Schema = std::map<std::string, KvmStatistic>;

class KvmReader {
 public:
  asio::awaitable<Result<Figures>> poll(CollectorView view) {
    if (session_ != view.session) {
      const auto schemas = co_await ask(view, "query-stats-schemas", json());
      if (!schemas) co_return schemas.error();
      schemas_ = parse_kvm_schemas(*schemas);
      session_ = view.session;
    }
    if (schemas_.vm.empty() && schemas_.vcpu.empty()) co_return Figures();

    json target = json::object();
    target["target"] = "vm";
    const auto vm = co_await ask(view, "query-stats", target);
    if (!vm) co_return vm.error();
    target["target"] = "vcpu";
    const auto vcpus = co_await ask(view, "query-stats", target);
    if (!vcpus) co_return vcpus.error();
    const auto cpus = co_await ask(view, "query-cpus-fast", json());
    if (!cpus) co_return cpus.error();
    co_return kvm_figures(schemas_, *vm, *vcpus, *cpus);
  }

 private:
  std::optional<std::uint64_t> session_;
  KvmSchemas schemas_;
};

std::optional<Kind> kind_of(std::string_view type) {
  if (type == "cumulative") return Kind::counter;
  if (type == "instant" || type == "peak") return Kind::gauge;
  if (type == "linear-histogram") return Kind::linear_histogram;
  if (type == "log2-histogram") return Kind::log2_histogram;
  return std::nullopt;
}

/// [a-z0-9_], and not for ever.
std::string sanitised(std::string_view kernel_name) {
  std::string name;
  for (const char c : kernel_name.substr(0, 100)) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool fit = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    name += upper ? static_cast<char>(c - 'A' + 'a') : fit ? c : '_';
  }
  return name;
}

/// "halt_wait_ns" in seconds is "halt_wait_seconds".
std::string with_unit(std::string name, std::string_view unit) {
  if (unit != "seconds" && unit != "bytes" && unit != "cycles") return name;
  for (const std::string_view old : {"_ns", "_us", "_ms"}) {
    if (unit == "seconds" && name.ends_with(old)) {
      name.resize(name.size() - old.size());
      break;
    }
  }
  if (!name.ends_with("_" + std::string(unit))) name += "_" + std::string(unit);
  return name;
}

/// Reads base and exponent. False if they make no sense.
bool read_scale(const json& entry, KvmStatistic& into) {
  const json* const exponent = member(entry, "exponent");
  if (exponent == nullptr || !exponent->is_number_integer()) return false;
  const auto power = exponent->get<double>();  // Which holds every integer without wrapping.
  if (power == 0) return true;
  const std::uint64_t base = count_in(entry, "base").value_or(0);
  if (power < -40 || power > 40 || (base != 2 && base != 10)) return false;
  double& scale = power > 0 ? into.factor : into.divisor;
  scale = std::pow(static_cast<double>(base), std::abs(power));
  return true;
}

std::optional<KvmStatistic> parse_statistic(const json& entry) {
  KvmStatistic statistic;
  statistic.kernel_name = text_in(entry, "name");
  const auto kind = kind_of(text_in(entry, "type"));
  if (statistic.kernel_name.empty() || !kind || !read_scale(entry, statistic)) return std::nullopt;
  statistic.kind = *kind;
  if (*kind == Kind::linear_histogram) {
    const auto size = count_in(entry, "bucket-size");
    if (!size || *size == 0 || *size > std::numeric_limits<std::uint32_t>::max())
      return std::nullopt;
    statistic.bucket_size = *size;
  }
  statistic.metric =
      "qemu_kvm_" + with_unit(sanitised(statistic.kernel_name), text_in(entry, "unit"));
  if (*kind == Kind::counter && !statistic.metric.ends_with("_total")) statistic.metric += "_total";
  return statistic;
}

void parse_target(const json& stats, std::set<std::string>& taken, Schema& into) {
  for (const json& entry : entries_of(stats)) {
    auto statistic = parse_statistic(entry);
    if (!statistic || into.contains(statistic->kernel_name)) continue;
    if (taken.insert(statistic->metric).second)
      into.emplace(statistic->kernel_name, std::move(*statistic));
  }
}

bool is_of(const json& entry, std::string_view target) {
  return text_in(entry, "provider") == "kvm" && text_in(entry, "target") == target;
}

/// The families of one target, made as they are met.
class Families {
 public:
  explicit Families(const Schema& schema) : schema_(schema) {}

  void add(const json& stats, exporters::LabelList labels) {
    std::set<std::string> seen;
    for (const json& entry : entries_of(stats)) {
      const std::string name = text_in(entry, "name");
      const auto found = schema_.find(name);
      const json* const value = member(entry, "value");
      if (found == schema_.end() || value == nullptr || !seen.insert(name).second) continue;
      add_statistic(found->second, *value, entry, labels);
    }
  }

  void move_to(Figures& figures) {
    for (auto& [name, family] : families_) add_family(figures, std::move(family));
  }

 private:
  void add_statistic(const KvmStatistic& statistic, const json& value, const json& entry,
                     exporters::LabelList labels) {
    if (statistic.kind == Kind::linear_histogram || statistic.kind == Kind::log2_histogram) {
      add_bins(statistic, value, labels);
      return;
    }
    auto number = count_in(entry, "value");
    if (const auto flag = flag_in(entry, "value")) number = *flag ? 1 : 0;
    if (!number) return;
    exporters::add_sample(family_of(statistic), labels,
                          static_cast<double>(*number) * statistic.factor / statistic.divisor);
  }

  void add_bins(const KvmStatistic& statistic, const json& value, exporters::LabelList labels);
  prometheus::MetricFamily& family_of(const KvmStatistic& statistic);

  const Schema& schema_;
  std::map<std::string, prometheus::MetricFamily> families_;
};

// The kernel counts integers: bin i of a linear histogram is [i * size, (i + 1) * size), of a
// log2 one [0, 1), [1, 2), [2, 4), [4, 8) and so on; the last of either has no end. A bin below b
// thus holds what is at most b - 1, and that is what `le` says, so that every bucket is exact.
void Families::add_bins(const KvmStatistic& statistic, const json& value,
                        exporters::LabelList labels) {
  constexpr std::size_t bins_max = 64;
  const auto entries = entries_of(value);
  if (entries.empty() || entries.size() > bins_max) return;
  std::vector<std::uint64_t> bins;
  std::vector<double> bounds;
  for (const json& entry : entries) {
    const auto count = count_of(entry);
    if (!count) return;
    const double end =
        statistic.kind == Kind::log2_histogram
            ? std::exp2(static_cast<double>(bins.size()))
            : static_cast<double>(statistic.bucket_size) * static_cast<double>(bins.size() + 1);
    bins.push_back(*count);
    bounds.push_back((end - 1) * statistic.factor / statistic.divisor);
  }
  bounds.pop_back();
  // The kernel does not keep the sum.
  add_histogram(family_of(statistic), labels, bounds, bins,
                std::numeric_limits<double>::quiet_NaN());
}

prometheus::MetricFamily& Families::family_of(const KvmStatistic& statistic) {
  const auto [found, is_new] = families_.try_emplace(statistic.metric);
  if (!is_new) return found->second;
  const std::string help = "KVM statistic " + statistic.kernel_name + " of the host's kernel.";
  switch (statistic.kind) {
    case Kind::counter:
      found->second = exporters::counter_family(statistic.metric, help);
      break;
    case Kind::gauge:
      found->second = exporters::gauge_family(statistic.metric, help);
      break;
    case Kind::linear_histogram:
    case Kind::log2_histogram:
      found->second = exporters::histogram_family(statistic.metric, help);
      break;
  }
  return found->second;
}

std::map<std::string, std::string> indices_by_path(const json& cpus) {
  std::map<std::string, std::string> indices;
  for (const json& entry : entries_of(cpus)) {
    const auto index = count_in(entry, "cpu-index");
    if (index) indices.emplace(text_in(entry, "qom-path"), std::to_string(*index));
  }
  return indices;
}

}  // namespace

KvmSchemas parse_kvm_schemas(const json& answer) {
  KvmSchemas schemas;
  std::set<std::string> taken;
  for (const auto& [target, into] :
       {std::pair("vm", &schemas.vm), std::pair("vcpu", &schemas.vcpu)}) {
    for (const json& entry : entries_of(answer)) {
      const json* const stats = member(entry, "stats");
      if (stats != nullptr && is_of(entry, target)) parse_target(*stats, taken, *into);
    }
  }
  return schemas;
}

Figures kvm_figures(const KvmSchemas& schemas, const json& vm, const json& vcpus,
                    const json& cpus) {
  Families of_vm(schemas.vm);
  for (const json& entry : entries_of(vm)) {
    const json* const stats = member(entry, "stats");
    if (stats == nullptr || text_in(entry, "provider") != "kvm") continue;
    of_vm.add(*stats, {});
    break;  // There is one VM.
  }
  Families of_vcpus(schemas.vcpu);
  auto indices = indices_by_path(cpus);
  for (const json& entry : entries_of(vcpus)) {
    const json* const stats = member(entry, "stats");
    if (stats == nullptr || text_in(entry, "provider") != "kvm") continue;
    const auto found = indices.extract(text_in(entry, "qom-path"));
    if (!found.empty()) of_vcpus.add(*stats, {{"vcpu", found.mapped()}});
  }
  Figures figures;
  of_vm.move_to(figures);
  of_vcpus.move_to(figures);
  return figures;
}

Collector kvm_collector() {
  Collector collector;
  collector.name = "kvm-stats";
  collector.interval = 10s;
  collector.needs = {"query-stats", "query-stats-schemas", "query-cpus-fast"};
  // Shared by the copies of the function, which std::function insists on being able to make.
  collector.poll = [reader = std::make_shared<KvmReader>()](CollectorView view) {
    return reader->poll(view);
  };
  return collector;
}

}  // namespace qemon::daemon
