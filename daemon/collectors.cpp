#include <vector>

#include "daemon/collect_block.hpp"
#include "daemon/collect_block_latency.hpp"
#include "daemon/collect_irq.hpp"
#include "daemon/collect_jit.hpp"
#include "daemon/collect_jobs.hpp"
#include "daemon/collect_kvm.hpp"
#include "daemon/collect_memory.hpp"
#include "daemon/collect_migration.hpp"
#include "daemon/collect_process.hpp"
#include "daemon/collect_replay.hpp"
#include "daemon/collect_sync_profile.hpp"
#include "daemon/collect_tcg_plugin.hpp"
#include "daemon/collect_threads.hpp"
#include "daemon/collector.hpp"

namespace qemon::daemon {

std::vector<Collector> make_collectors() {
  std::vector<Collector> collectors;
  collectors.push_back(block_collector());
  collectors.push_back(block_latency_collector());
  collectors.push_back(irq_collector());
  collectors.push_back(jit_collector());
  collectors.push_back(jobs_collector());
  collectors.push_back(kvm_collector());
  collectors.push_back(memory_collector());
  collectors.push_back(migration_collector());
  collectors.push_back(process_collector());
  collectors.push_back(replay_collector());
  collectors.push_back(sync_profile_collector());
  collectors.push_back(tcg_plugin_collector());
  collectors.push_back(threads_collector());
  return collectors;
}

}  // namespace qemon::daemon
