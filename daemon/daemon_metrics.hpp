// The daemon's own metrics: qemond_build_info, process_*, HTTP figures and monitor round trips.
#pragma once

#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>
#include <map>
#include <string>

#include "daemon/annotation_writer.hpp"
#include "daemon/http_server.hpp"
#include "daemon/marks.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

class DaemonMetrics {
 public:
  DaemonMetrics();

  /// Adds the families to `page`, which this and `server` must outlive.
  void add_to(exporters::MetricsPage& page, const HttpServer& server);
  /// Those of annotations and marks, likewise.
  static void add_annotations(exporters::MetricsPage& page, const AnnotationWriter& writer,
                              const Marks& marks);
  /// Drops what was observed of a VM that is gone.
  void forget(const std::string& vm);
  void observe_round_trip(const std::string& vm, std::chrono::nanoseconds time);

 private:
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Histogram>& round_trips_;
  std::map<std::string, prometheus::Histogram*>
      round_trips_of_;  // By VM, so that no labels are looked up per command.
};

}  // namespace qemon::daemon
