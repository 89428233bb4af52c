// The collector `kvm-stats`: the statistics that the kernel keeps of a VM and its vCPUs under KVM.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// What query-stats-schemas says about one statistic, and what becomes of it here.
struct KvmStatistic {
  enum class Kind : std::uint8_t { counter, gauge, linear_histogram, log2_histogram };

  std::string metric;  ///< Complete name: "qemu_kvm_halt_wait_seconds_total".
  Kind kind = Kind::counter;
  std::string kernel_name;
  // From the kernel's unit to the base unit; one of them is 1, so that 1 ns is exactly 1e-9 s.
  double factor = 1;
  double divisor = 1;
  std::uint64_t bucket_size = 0;  ///< Of a linear histogram.
};

/// By the kernel's name.
struct KvmSchemas {
  std::map<std::string, KvmStatistic> vm;
  std::map<std::string, KvmStatistic> vcpu;
};

/// Names of metrics are the kernel's, made fit for Prometheus; nothing is known about them here. A
/// statistic whose type, unit or base is not known is left out.
[[nodiscard]] KvmSchemas parse_kvm_schemas(const nlohmann::json& answer);

/// The answers to query-stats for `vm` and `vcpu` as metrics; `cpus` is that to query-cpus-fast,
/// which tells the index of each vCPU.
[[nodiscard]] Figures kvm_figures(const KvmSchemas& schemas, const nlohmann::json& vm,
                                  const nlohmann::json& vcpus, const nlohmann::json& cpus);

[[nodiscard]] Collector kvm_collector();

}  // namespace qemon::daemon
