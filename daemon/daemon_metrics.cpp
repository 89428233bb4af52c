#include "daemon/daemon_metrics.hpp"

#include "base/version.hpp"
#include "daemon/process_metrics.hpp"

namespace qemon::daemon {
namespace {

/// 100 us to 5 s in 1-2-5 steps: a free main loop answers in well under a millisecond, and 5 s is
/// the deadline.
const prometheus::Histogram::BucketBoundaries round_trip_buckets{
    1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5};

void add_http_metrics(exporters::MetricsPage& page, const HttpServer& server) {
  const auto add = [&](const char* name, const char* help, std::uint64_t HttpStats::*figure) {
    page.add([&server, name, help, figure] {
      auto family = exporters::counter_family(name, help);
      exporters::add_sample(family, {}, server.stats().*figure);
      return family;
    });
  };
  add("qemond_http_requests_total", "HTTP requests, on TCP and on the control socket.",
      &HttpStats::requests);
  add("qemond_http_bad_requests_total",
      "HTTP requests that were refused because they were wrong, too long or too slow.",
      &HttpStats::bad_requests);
  add("qemond_http_refusals_total",
      "HTTP requests and connections that were answered with 503, because there were too many.",
      &HttpStats::refusals);
  add("qemond_http_evictions_total",
      "HTTP connections that were ended to make room for others: those that sent no request, or "
      "took a response slowly.",
      &HttpStats::evictions);
  add("qemond_http_accept_failures_total",
      "Times that no HTTP connection could be accepted, for instance without file descriptors.",
      &HttpStats::accept_failures);
  page.add([&server] {
    auto family = exporters::gauge_family("qemond_http_connections", "HTTP connections now.");
    exporters::add_sample(family, {}, server.connections());
    return family;
  });
}

}  // namespace

DaemonMetrics::DaemonMetrics()
    : round_trips_(prometheus::BuildHistogram()
                       .Name("qemond_monitor_round_trip_seconds")
                       .Help("Time from sending a monitor command to its answer. QEMU answers on "
                             "its main loop.")
                       .Register(registry_)) {}

void DaemonMetrics::add_to(exporters::MetricsPage& page, const HttpServer& server) {
  page.add([] { return build_info(version, ""); });
  page.add([this] {
    auto families = registry_.Collect();
    return families.empty() ? prometheus::MetricFamily{} : std::move(families.front());
  });
  add_http_metrics(page, server);
  add_process_metrics(page);
}

void DaemonMetrics::add_annotations(exporters::MetricsPage& page, const AnnotationWriter& writer,
                                    const Marks& marks) {
  page.add([&writer] {
    auto family = exporters::counter_family(
        "qemond_annotations_total", "Annotations for Grafana, by what became of them in the end.");
    const auto& totals = writer.totals();
    exporters::add_sample(family, {{"outcome", "written"}}, totals.written);
    exporters::add_sample(family, {{"outcome", "failed"}}, totals.failed);
    exporters::add_sample(family, {{"outcome", "dropped"}}, totals.dropped);
    return family;
  });
  page.add([&writer] {
    auto family = exporters::gauge_family("qemond_annotations_pending",
                                          "Annotations that are still to be written to Grafana.");
    exporters::add_sample(family, {}, writer.pending());
    return family;
  });
  page.add([&marks] {
    auto family = exporters::counter_family(
        "qemond_marks_total", "Marks about no VM in particular that users made with qemon mark.");
    exporters::add_sample(family, {}, marks.count_without_vm());
    return family;
  });
}

void DaemonMetrics::observe_round_trip(const std::string& vm, std::chrono::nanoseconds time) {
  auto& histogram = round_trips_of_[vm];
  if (histogram == nullptr) histogram = &round_trips_.Add({{"vm", vm}}, round_trip_buckets);
  histogram->Observe(std::chrono::duration<double>(time).count());
}

void DaemonMetrics::forget(const std::string& vm) {
  const auto found = round_trips_of_.find(vm);
  if (found == round_trips_of_.end()) return;
  round_trips_.Remove(found->second);
  round_trips_of_.erase(found);
}

}  // namespace qemon::daemon
