// The metric families about VMs and about following them, collected from the VMs' own integers.
#pragma once

#include <memory>
#include <vector>

#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

class Vm;

/// All VMs that qemond watches, by name. Owned by the Fleet, and shared with whoever waits for a VM
/// that may be detached meanwhile.
using VmList = std::vector<std::shared_ptr<Vm>>;

/// Adds every family about `vms` to `page`. `vms` must outlive the page.
void add_vm_metrics(exporters::MetricsPage& page, const VmList& vms);
/// Adds the families that packs make.
void add_pack_metrics(exporters::MetricsPage& page, const VmList& vms);

}  // namespace qemon::daemon
