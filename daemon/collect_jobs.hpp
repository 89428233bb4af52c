// The collector `jobs`: background jobs, such as mirrors and backups, and how far they are.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/collector.hpp"

namespace qemon::daemon {

/// The answers to query-jobs and query-block-jobs as metrics; the second may be null. No more than
/// the first 100 jobs are shown one by one.
[[nodiscard]] Figures job_figures(const nlohmann::json& jobs, const nlohmann::json& block_jobs);

/// What the answer to query-block-jobs tells alone. There may be other jobs, so their number is not
/// known, and their status is not either.
[[nodiscard]] Figures block_job_figures(const nlohmann::json& block_jobs);

[[nodiscard]] Collector jobs_collector();

}  // namespace qemon::daemon
