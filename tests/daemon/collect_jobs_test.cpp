#include "daemon/collect_jobs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using test::expect_sound;
using test::samples_of;
using testing::HasSubstr;
using testing::Not;

// Of a drive-mirror under 7.2.
const char* const jobs_text =
    R"([{"current-progress": 2097152, "status": "running", "total-progress": 4194304,
         "type": "mirror", "id": "disk0"}])";
const char* const block_jobs_text =
    R"([{"auto-finalize": true, "io-status": "ok", "device": "disk0", "auto-dismiss": true,
         "busy": false, "len": 4194304, "offset": 2097152, "status": "running", "paused": false,
         "speed": 1000000, "ready": false, "type": "mirror"}])";

TEST(CollectJobs, ShowsAMirror) {
  const Figures figures = job_figures(json::parse(jobs_text), json::parse(block_jobs_text));

  expect_sound(figures);
  const std::string samples = samples_of(figures);
  for (const char* const line : {
           "qemu_jobs 1\n",
           "qemu_job_status{job=\"disk0\",type=\"mirror\",status=\"running\"} 1\n",
           "qemu_job_status{job=\"disk0\",type=\"mirror\",status=\"concluded\"} 0\n",
           "qemu_job_progress_current{job=\"disk0\"} 2097152\n",
           "qemu_job_progress_end{job=\"disk0\"} 4194304\n",
           "qemu_job_speed_limit_bytes_per_second{job=\"disk0\"} 1000000\n",
           "qemu_job_io_error{job=\"disk0\"} 0\n",
       }) {
    EXPECT_THAT(samples, HasSubstr(line));
  }
  EXPECT_THAT(samples, Not(HasSubstr("other")));
}

TEST(CollectJobs, WithoutJobsThereAreNone) {
  EXPECT_EQ(samples_of(job_figures(json::array(), nullptr)), "qemu_jobs 0\n");
  EXPECT_TRUE(job_figures(nullptr, nullptr).empty());
}

TEST(CollectJobs, ShowsIoErrorsAndNoLimitWhereThereIsNone) {
  json block_jobs = json::parse(block_jobs_text);
  block_jobs[0]["io-status"] = "nospace";
  block_jobs[0]["speed"] = 0;

  const std::string samples = samples_of(job_figures(json::parse(jobs_text), block_jobs));

  EXPECT_THAT(samples, HasSubstr("qemu_job_io_error{job=\"disk0\"} 1\n"));
  EXPECT_THAT(samples, Not(HasSubstr("speed")));
}

TEST(CollectJobs, AStatusOfALaterQemuIsOther) {
  json jobs = json::parse(jobs_text);
  jobs[0]["status"] = "dreaming";

  EXPECT_THAT(samples_of(job_figures(jobs, nullptr)),
              HasSubstr("{job=\"disk0\",type=\"mirror\",status=\"other\"} 1\n"));
}

TEST(CollectJobs, ShowsAHundredJobsAtMost) {
  json jobs = json::array();
  for (int i = 0; i < 300; ++i) {
    jobs.push_back({{"id", "j" + std::to_string(i)},
                    {"type", "backup"},
                    {"status", "ready"},
                    {"current-progress", 1}});
  }

  const std::string samples = samples_of(job_figures(jobs, nullptr));

  EXPECT_THAT(samples, HasSubstr("qemu_jobs 300\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_job_progress_current{job=\"j99\"}"));
  EXPECT_THAT(samples, Not(HasSubstr("{job=\"j100\"")));
}

TEST(CollectJobs, BlockJobsAloneTellNeitherHowManyJobsThereAreNorTheirStatus) {
  // As a human monitor shows it.
  const json block_jobs =
      json::parse(R"([{"type": "mirror", "device": "disk0", "offset": 5, "len": 10, "speed": 7}])");

  const Figures figures = block_job_figures(block_jobs);

  expect_sound(figures);
  EXPECT_EQ(samples_of(figures),
            "qemu_job_progress_current{job=\"disk0\"} 5\n"
            "qemu_job_progress_end{job=\"disk0\"} 10\n"
            "qemu_job_speed_limit_bytes_per_second{job=\"disk0\"} 7\n");
  EXPECT_EQ(samples_of(block_job_figures(json::array())), "");
}

TEST(CollectJobs, SurvivesWhateverAnswerComes) {
  const json jobs = json::parse(jobs_text);
  const json block_jobs = json::parse(block_jobs_text);
  for (const json& answer : test::spoilt(jobs)) expect_sound(job_figures(answer, block_jobs));
  for (const json& answer : test::spoilt(block_jobs)) {
    expect_sound(job_figures(jobs, answer));
    expect_sound(block_job_figures(answer));
  }
}

}  // namespace
}  // namespace qemon::daemon
