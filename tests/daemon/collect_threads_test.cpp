#include "daemon/collect_threads.hpp"

#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using test::expect_sound;
using test::samples_of;

json cpu(int index, int tid) {
  return json{{"cpu-index", index}, {"thread-id", tid}, {"qom-path", "/machine/x"}};
}

ThreadFigures busy(pid_t tid) {
  ThreadFigures figures;
  figures.stat = TaskStat{'R', 100, 50, 1, 1, 1};
  figures.schedule = TaskSchedule{1'250'000'000, static_cast<std::uint64_t>(tid)};
  return figures;
}

TEST(CollectThreads, NamesVcpusByIndex) {
  const auto threads = vcpu_threads(json::array({cpu(0, 10), cpu(1, 11)}));

  ASSERT_EQ(threads.size(), 2U);
  EXPECT_EQ(threads[0].name, "0");
  EXPECT_EQ(threads[1].name, "1");
  EXPECT_EQ(threads[1].tid, 11);
}

TEST(CollectThreads, VcpusThatShareOneThreadAreOne) {
  const auto threads = vcpu_threads(json::array({cpu(0, 2322), cpu(1, 2322)}));

  ASSERT_EQ(threads.size(), 1U);
  EXPECT_EQ(threads[0].name, "all");
  EXPECT_EQ(threads[0].tid, 2322);
}

TEST(CollectThreads, OneVcpuAloneIsNotAll) {
  const auto threads = vcpu_threads(json::array({cpu(0, 2322)}));

  ASSERT_EQ(threads.size(), 1U);
  EXPECT_EQ(threads[0].name, "0");
}

TEST(CollectThreads, ShowsTimeOnAndWaitForAProcessor) {
  const Figures figures = thread_figures("vcpu", {{"0", 2'000'000'000}}, busy);

  expect_sound(figures);
  EXPECT_EQ(samples_of(figures),
            "qemu_vcpu_cpu_seconds_total{vcpu=\"0\"} 1.25\n"
            "qemu_vcpu_run_queue_wait_seconds_total{vcpu=\"0\"} 2\n"
            "qemu_vcpu_thread_state{vcpu=\"0\",state=\"disk_sleep\"} 0\n"
            "qemu_vcpu_thread_state{vcpu=\"0\",state=\"running\"} 1\n"
            "qemu_vcpu_thread_state{vcpu=\"0\",state=\"sleeping\"} 0\n"
            "qemu_vcpu_thread_state{vcpu=\"0\",state=\"stopped\"} 0\n");
}

TEST(CollectThreads, WithoutSchedulerStatisticsTheTimeIsOfTheCoarserClock) {
  const auto read = [](pid_t) {
    ThreadFigures figures;
    figures.stat = TaskStat{'S', 100, 50, 1, 1, 1};
    return figures;
  };

  const std::string samples = samples_of(thread_figures("iothread", {{"io1", 1}}, read));

  EXPECT_NE(samples.find("qemu_iothread_cpu_seconds_total{iothread=\"io1\"} 1.5\n"), samples.npos);
  EXPECT_EQ(samples.find("wait"), samples.npos);
}

TEST(CollectThreads, AThreadThatIsGoneShowsNothing) {
  EXPECT_TRUE(thread_figures("vcpu", {{"0", 1}}, [](pid_t) { return ThreadFigures(); }).empty());
}

TEST(CollectThreads, SurvivesWhateverAnswerComes) {
  const json cpus = json::array({cpu(0, 10), cpu(1, 11)});
  for (const json& answer : test::spoilt(cpus)) {
    expect_sound(thread_figures("vcpu", vcpu_threads(answer), busy));
  }
  const json io = json::array({{{"id", "io1"}, {"thread-id", 3}}, {{"id", "io2"}}});
  for (const json& answer : test::spoilt(io)) {
    expect_sound(thread_figures("iothread", iothreads(answer), busy));
  }
}

TEST(CollectThreads, TakesNoThreadFromAHostThatCannotTell) {
  EXPECT_TRUE(vcpu_threads(json::array({cpu(0, -1), cpu(1, 0)})).empty());
  EXPECT_TRUE(iothreads(json::array({{{"id", ""}, {"thread-id", 7}}})).empty());
}

}  // namespace
}  // namespace qemon::daemon
