#include "exporters/trace_counters.hpp"

#include <cstddef>

namespace qemon::exporters {

// Apart from on_record, so that the hot path stays small. A vector doubles its memory, so growing
// one by one is cheap.
void TraceCounters::grow(trace::EventIndex event) {
  counts_.resize(std::size_t{event} + 1);
}

}  // namespace qemon::exporters
