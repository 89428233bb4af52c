// In place of usdt_source.cpp in a qemond that is built without libbpf.
#include "daemon/usdt_source.hpp"

namespace qemon::daemon {

std::unique_ptr<TraceSource> make_usdt_source(TraceSourceOptions options) {
  (void)options;
  return nullptr;
}

}  // namespace qemon::daemon
