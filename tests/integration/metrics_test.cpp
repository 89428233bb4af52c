// What Prometheus and other visitors of the TCP port see.
#include <cstdlib>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using testing::HasSubstr;

class MetricsPage : public OnQemu {};
ON_EACH_QEMU(MetricsPage);

/// A tool named by an environment variable, else by PATH.
std::optional<std::string> tool(const char* variable, const std::string& name) {
  const char* value = std::getenv(variable);
  if (value != nullptr && *value != '\0') return value;
  return find_program(name);
}

TEST_P(MetricsPage, HasWhatItPromises) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});
  vm.guest().read(2);
  ASSERT_TRUE(daemon.wait_counted("vm", read_event, 2));

  const Metrics metrics = daemon.scrape();

  EXPECT_EQ(metrics.get(series("qemu_up", {{"vm", "vm"}})), 1);
  EXPECT_EQ(metrics.count("qemu_vm_info"), 1U);
  EXPECT_EQ(metrics.get(series("qemu_trace_event_enabled", {{"vm", "vm"}, {"event", read_event}})),
            1);
  EXPECT_EQ(metrics.get(series("qemu_trace_dropped_events_total", {{"vm", "vm"}})), 0);
  EXPECT_EQ(metrics.count("qemond_build_info"), 1U);
  EXPECT_GT(metrics.get(series("qemond_trace_bytes_read_total", {{"vm", "vm"}})), 0);
  EXPECT_GE(metrics.get(series("qemond_trace_records_total", {{"vm", "vm"}})), 2);
  EXPECT_GT(metrics.count("qemond_trace_decode_errors_total"), 0U);
  EXPECT_EQ(metrics.get(series("qemond_trace_resyncs_total", {{"vm", "vm"}})), 0);
  EXPECT_TRUE(metrics.get(series("qemond_trace_lag_bytes", {{"vm", "vm"}})).has_value());
  EXPECT_TRUE(metrics.get(series("qemond_trace_lag_seconds", {{"vm", "vm"}})).has_value());
  EXPECT_EQ(metrics.get(series("qemond_monitor_reconnects_total", {{"vm", "vm"}})), 0);
  EXPECT_GT(metrics.count("qemond_monitor_round_trip_seconds_count"), 0U);
  for (const char* name : {"process_resident_memory_bytes", "process_cpu_seconds_total",
                           "process_open_fds", "process_start_time_seconds"}) {
    EXPECT_GT(metrics.get(name), 0) << name;
  }
  for (const auto& [name, value] : metrics.samples()) {
    if (name.rfind("qemond_trace_decode_errors_total", 0) == 0) {
      EXPECT_EQ(value, 0) << name;
    }
  }
}

TEST_P(MetricsPage, PleasesPromtool) {
  const auto promtool = tool("QEMON_PROMTOOL", "promtool");
  if (!promtool) GTEST_SKIP() << "no promtool: install prometheus or set QEMON_PROMTOOL";
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({"virtio_blk_*"});
  vm.guest().read(2);
  ASSERT_TRUE(daemon.wait_counted("vm", read_event, 2));

  write_file(directory / "metrics", daemon.scrape().text());
  const Finished finished = run_program(
      {"/bin/sh", "-c", R"(exec "$1" check metrics <"$2")", "sh", *promtool, directory / "metrics"},
      home());

  EXPECT_EQ(finished.status, ExitStatus{});
  EXPECT_EQ(finished.out + finished.err, "");
}

/// A Prometheus that scrapes one target once a second.
class Prometheus {
 public:
  Prometheus(const std::string& program, const std::string& directory, const std::string& target)
      : address_("127.0.0.1:" + std::to_string(free_port())) {
    write_file(directory + "/prometheus.yml",
               "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
               "scrape_configs: [{job_name: qemond, static_configs: [{targets: ['" +
                   target + "']}]}]\n");
    ProcessOptions options;
    options.command = {program, "--config.file=" + directory + "/prometheus.yml",
                       "--storage.tsdb.path=" + directory + "/tsdb",
                       "--web.listen-address=" + address_};
    options.err = directory + "/prometheus.err";
    process_ = std::make_unique<Process>(std::move(options));
  }

  /// The value of an instant query that gives one series; nothing while it gives none or Prometheus
  /// does not serve yet.
  std::optional<double> query(const std::string& expression) {
    if (!process_->running()) throw std::runtime_error("Prometheus has ended");
    nlohmann::json answer;
    try {
      answer = nlohmann::json::parse(http_get(address_, "/api/v1/query?query=" + expression).body);
    } catch (const std::runtime_error&) {
      return std::nullopt;
    } catch (const nlohmann::json::exception&) {
      return std::nullopt;  // "Service Unavailable" while it starts.
    }
    const auto result = answer.value("/data/result"_json_pointer, nlohmann::json::array());
    if (result.empty()) return std::nullopt;
    return std::stod(result.at(0).at("value").at(1).get<std::string>());
  }

 private:
  std::string address_;
  std::unique_ptr<Process> process_;
};

TEST_P(MetricsPage, IsScrapedByPrometheus) {
  const auto program = tool("QEMON_PROMETHEUS", "prometheus");
  if (!program) GTEST_SKIP() << "no Prometheus: install it or set QEMON_PROMETHEUS";
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});
  Prometheus prometheus(*program, home(), daemon.tcp_address());

  EXPECT_TRUE(wait_until([&] { return prometheus.query("up") == 1; }));
  vm.guest().read(123);

  EXPECT_TRUE(wait_until([&] { return prometheus.query("qemu_trace_events_total") == 123; }));
  EXPECT_EQ(prometheus.query("qemu_up"), 1);
}

TEST_P(MetricsPage, StaysWhereTcpIsConcernedReadOnly) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const std::string body = R"({"on":true,"globs":["virtio_blk_*"],"patterns":["virtio_blk_*"]})";

  for (const char* path :
       {"/", "/metrics", "/-/healthy", "/-/ready", "/v1/status", "/v1/events", "/v1/vms",
        "/v1/vms/vm/release", "/-/reload", "/-/quit", "/v1/events/on"}) {
    for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
      const HttpResponse response = http_request(daemon.tcp_address(), method, path, body);
      EXPECT_TRUE(response.status == 404 || response.status == 405)
          << method << ' ' << path << ": " << response.status;
    }
  }
  for (const char* path : {"/v1", "/v1/status", "/v1/events", "/v1/vms"}) {
    EXPECT_EQ(http_get(daemon.tcp_address(), path).status, 404) << path;
  }

  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_EQ(daemon.vm_state("vm"), "attached");
}

TEST_P(MetricsPage, HasTheUsualCompanions) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const HttpResponse metrics = http_get(daemon.tcp_address(), "/metrics");
  EXPECT_THAT(metrics.content_type, HasSubstr("text/plain; version=0.0.4"));
  const HttpResponse landing = http_get(daemon.tcp_address(), "/");
  EXPECT_EQ(landing.status, 200);
  EXPECT_THAT(landing.content_type, HasSubstr("text/html"));
  EXPECT_THAT(landing.body, HasSubstr("/metrics"));
  EXPECT_THAT(landing.body, HasSubstr(daemon.status().at("version").get<std::string>()));
  EXPECT_EQ(http_get(daemon.tcp_address(), "/-/healthy").status, 200);
  EXPECT_EQ(http_get(daemon.tcp_address(), "/-/ready").status, 200);
  EXPECT_EQ(http_get(daemon.tcp_address(), "/nothing").status, 404);
}

}  // namespace
}  // namespace qemon::test
