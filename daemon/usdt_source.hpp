// The trace source of QEMUs whose backend is `dtrace`: probes in their code (USDT), seen by a BPF
// program in the kernel.
#pragma once

#include <memory>

#include "daemon/process_info.hpp"
#include "daemon/trace_source.hpp"

namespace qemon::daemon {

[[nodiscard]] std::unique_ptr<TraceSource> make_usdt_source(TraceSourceOptions options);

/// Whether the program that the process runs has probes of QEMU's.
[[nodiscard]] bool has_usdt_probes(const ProcessInfo& process);

}  // namespace qemon::daemon
