#include "daemon/collect_jobs.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using exporters::add_sample;
using exporters::gauge_family;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t jobs_max = 100;

// JobStatus of QEMU's qapi/job.json.
constexpr std::array<std::string_view, 11> statuses{"undefined", "created",   "running", "paused",
                                                    "ready",     "standby",   "waiting", "pending",
                                                    "aborting",  "concluded", "null"};

asio::awaitable<Result<Figures>> poll_jobs(CollectorView view) {
  // A human monitor shows block jobs only, and a QEMU before 3.0 has no others.
  const bool all = view.commands.contains("query-jobs");
  json jobs;
  if (all) {
    auto answer = co_await ask(view, "query-jobs", json());
    if (!answer) co_return answer.error();
    jobs = std::move(*answer);
    // Mostly there are none, and then the second question is not worth asking.
    if (entries_of(jobs).empty()) co_return job_figures(jobs, json());
  }
  const auto block_jobs = co_await ask(view, "query-block-jobs", json());
  if (!block_jobs) co_return block_jobs.error();
  co_return all ? job_figures(jobs, *block_jobs) : block_job_figures(*block_jobs);
}

/// The families of how far jobs are, which query-jobs and query-block-jobs tell.
struct Progress {
  prometheus::MetricFamily done =
      gauge_family("qemu_job_progress_current",
                   "How far the job is, in a unit of its own: bytes for block jobs.");
  prometheus::MetricFamily end = gauge_family(
      "qemu_job_progress_end", "Where the job would be done; it may grow while the job runs.");

  void add(const std::string& job, const std::optional<std::uint64_t>& done_now,
           const std::optional<std::uint64_t>& end_now) {
    add_known(done, {{"job", job}}, done_now);
    add_known(end, {{"job", job}}, end_now);
  }
};

void add_block_jobs(Figures& figures, const json& block_jobs, const std::set<std::string>& shown) {
  auto speed = gauge_family("qemu_job_speed_limit_bytes_per_second",
                            "Speed that the job is limited to; absent without a limit.");
  auto trouble = gauge_family("qemu_job_io_error",
                              "1 if the job met an I/O error that it has not got over, 0 if not.");
  std::set<std::string> seen;
  for (const json& entry : entries_of(block_jobs)) {
    const std::string job = text_in(entry, "device");  // It is the job's id.
    if (!shown.contains(job) || !seen.insert(job).second) continue;
    if (const auto limit = count_in(entry, "speed"); limit && *limit > 0)
      add_sample(speed, {{"job", job}}, *limit);
    if (const std::string status = text_in(entry, "io-status"); !status.empty())
      add_sample(trouble, {{"job", job}}, status == "ok" ? 0 : 1);
  }
  add_family(figures, std::move(speed));
  add_family(figures, std::move(trouble));
}

}  // namespace

Figures job_figures(const json& jobs, const json& block_jobs) {
  if (!jobs.is_array()) return {};
  auto number = gauge_family("qemu_jobs", "Background jobs that there are.");
  add_sample(number, {}, jobs.size());
  auto status = gauge_family("qemu_job_status", "1 for the status that the job is in.");
  Progress progress;
  std::set<std::string> shown;
  for (const json& entry : entries_of(jobs)) {
    if (shown.size() >= jobs_max) break;
    const std::string job = text_in(entry, "id");
    if (job.empty() || !shown.insert(job).second) continue;
    const std::string type = text_in(entry, "type");
    const std::string current = text_in(entry, "status");
    const bool known = std::find(statuses.begin(), statuses.end(), current) != statuses.end();
    for (const std::string_view one : statuses) {
      add_sample(status, {{"job", job}, {"type", type}, {"status", one}}, one == current ? 1 : 0);
    }
    if (!known) add_sample(status, {{"job", job}, {"type", type}, {"status", "other"}}, 1);
    progress.add(job, count_in(entry, "current-progress"), count_in(entry, "total-progress"));
  }
  Figures figures;
  for (auto* family : {&number, &status, &progress.done, &progress.end}) {
    add_family(figures, std::move(*family));
  }
  add_block_jobs(figures, block_jobs, shown);
  return figures;
}

Figures block_job_figures(const json& block_jobs) {
  Progress progress;
  std::set<std::string> shown;
  for (const json& entry : entries_of(block_jobs)) {
    if (shown.size() >= jobs_max) break;
    const std::string job = text_in(entry, "device");
    if (job.empty() || !shown.insert(job).second) continue;
    progress.add(job, count_in(entry, "offset"), count_in(entry, "len"));
  }
  Figures figures;
  add_family(figures, std::move(progress.done));
  add_family(figures, std::move(progress.end));
  add_block_jobs(figures, block_jobs, shown);
  return figures;
}

Collector jobs_collector() {
  Collector collector;
  collector.name = "jobs";
  collector.interval = 5s;
  collector.needs = {"query-block-jobs"};
  collector.poll = poll_jobs;
  return collector;
}

}  // namespace qemon::daemon
