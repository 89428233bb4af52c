#include "daemon/trace_source.hpp"

#include <utility>

#include "daemon/ftrace_source.hpp"
#include "daemon/lttng_source.hpp"
#include "daemon/syslog_source.hpp"
#include "daemon/usdt_source.hpp"

namespace qemon::daemon {

std::vector<TraceBackend> find_source_backends(const ProcessInfo& process) {
  std::vector<TraceBackend> found;
  if (has_usdt_probes(process)) found.push_back(TraceBackend::usdt);
  if (has_ftrace_backend(process)) found.push_back(TraceBackend::ftrace);
  if (has_lttng(process)) found.push_back(TraceBackend::lttng);
  if (has_syslog_backend(process)) found.push_back(TraceBackend::syslog);
  return found;
}

std::unique_ptr<TraceSource> make_trace_source(TraceSourceOptions options) {
  switch (options.choice.backend) {
    case TraceBackend::simple:
    case TraceBackend::log:
      break;
    case TraceBackend::usdt:
      return make_usdt_source(std::move(options));
    case TraceBackend::ftrace:
      return std::make_unique<FtraceSource>(std::move(options));
    case TraceBackend::lttng:
      return std::make_unique<LttngSource>(std::move(options));
    case TraceBackend::syslog:
      return make_syslog_source(std::move(options));
  }
  return nullptr;
}

void remove_left_sources(const std::string& vm) {
  remove_left_trace_instances(vm);
}

}  // namespace qemon::daemon
