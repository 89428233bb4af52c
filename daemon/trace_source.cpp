#include "daemon/trace_source.hpp"

#include "daemon/lttng_source.hpp"

namespace qemon::daemon {

std::vector<TraceBackend> find_source_backends(const ProcessInfo& process) {
  std::vector<TraceBackend> found;
  if (has_lttng(process)) found.push_back(TraceBackend::lttng);
  return found;
}

std::unique_ptr<TraceSource> make_trace_source(TraceSourceOptions options) {
  switch (options.choice.backend) {
    case TraceBackend::simple:
    case TraceBackend::log:
    case TraceBackend::usdt:
    case TraceBackend::ftrace:
    case TraceBackend::lttng:
      return std::make_unique<LttngSource>(std::move(options));
    case TraceBackend::syslog:
      break;
  }
  return nullptr;
}

void remove_left_sources(const std::string& vm) {
  (void)vm;
}

}  // namespace qemon::daemon
