#include "daemon/collect_process.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "daemon/proc_text.hpp"
#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using test::expect_sound;
using test::samples_of;
using testing::HasSubstr;
using testing::Not;

const std::string stat_text =
    "8772 (qemu) system)x) S 1 8772 1 0 -1 4194304 9 0 0 0 250 150 0 0 20 0 6 0 12300 987654321 "
    "5000 18446744073709551615 1 1 0\n";
const std::string status_text =
    "Name:\tqemu\nVmPeak:\t 2000 kB\nVmSize:\t 1000 kB\nVmRSS:\t  500 kB\nVmSwap:\t    8 kB\n";
const std::string smaps_text =
    "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:  512 kB\nPss:   300 kB\nPss_Anon: 200 kB\n"
    "AnonHugePages:   2048 kB\nShmemPmdMapped: 0 kB\nShared_Hugetlb: 0 kB\n"
    "Private_Hugetlb: 4096 kB\n";

TEST(CollectProcess, ShowsWhatTheKernelTells) {
  ProcessTexts texts;
  texts.stat = stat_text;
  texts.status = status_text;
  texts.smaps_rollup = smaps_text;
  texts.open_fds = 17;
  texts.boot_time = 1'700'000'000;

  const Figures figures = process_figures(texts);

  expect_sound(figures);
  ASSERT_EQ(::sysconf(_SC_CLK_TCK), 100);
  EXPECT_EQ(samples_of(figures),
            "qemu_process_cpu_seconds_total 4\n"
            "qemu_process_huge_pages_bytes{kind=\"anonymous\"} 2097152\n"
            "qemu_process_huge_pages_bytes{kind=\"hugetlb\"} 4194304\n"
            "qemu_process_huge_pages_bytes{kind=\"shared\"} 0\n"
            "qemu_process_open_fds 17\n"
            "qemu_process_proportional_memory_bytes 307200\n"
            "qemu_process_resident_memory_bytes 512000\n"
            "qemu_process_start_time_seconds 1700000123\n"
            "qemu_process_swap_bytes 8192\n"
            "qemu_process_threads 6\n"
            "qemu_process_virtual_memory_bytes 1024000\n");
}

TEST(CollectProcess, WhatMayNotBeReadIsAbsent) {
  ProcessTexts texts;
  texts.stat = stat_text;
  texts.status = status_text;

  const std::string samples = samples_of(process_figures(texts));

  EXPECT_THAT(samples, HasSubstr("qemu_process_resident_memory_bytes 512000\n"));
  EXPECT_THAT(samples, Not(HasSubstr("proportional")));
  EXPECT_THAT(samples, Not(HasSubstr("huge")));
  EXPECT_THAT(samples, Not(HasSubstr("fds")));
  EXPECT_THAT(samples, Not(HasSubstr("start_time")));
  EXPECT_TRUE(process_figures(ProcessTexts()).empty());
}

TEST(CollectProcess, SurvivesTextsThatAreCutOrStrange) {
  for (std::size_t length = 0; length < stat_text.size(); ++length) {
    ProcessTexts texts;
    texts.stat = stat_text.substr(0, length);
    texts.status = status_text.substr(0, length);
    texts.smaps_rollup = smaps_text.substr(0, length);
    expect_sound(process_figures(texts));
  }
  EXPECT_FALSE(parse_task_stat("1 (x)"));
  EXPECT_FALSE(parse_task_stat("1 (x) S 1 1 1 1 1 1 1 1 1 1 -1 5 0 0 20 0 6 0 12300 1 "));
  EXPECT_FALSE(kilobytes_field("Rss: 99999999999999999999999 kB\n", "Rss"));
  EXPECT_FALSE(kilobytes_field("Rss: 18446744073709551615 kB\n", "Rss"));
  EXPECT_FALSE(kilobytes_field("Rss: 5 MB\nRss: 5 kB\n", "Rss"));
}

TEST(CollectProcess, ReadsPressureAsSeconds) {
  CgroupTexts texts;
  texts.cpu_pressure =
      "some avg10=98.45 avg60=97.60 avg300=78.08 total=2426186337\n"
      "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
  texts.memory_pressure = "some avg10=0.00 total=\nfull total=12x\n";
  texts.memory_current = "123456789\n";

  EXPECT_EQ(samples_of(cgroup_figures(texts)),
            "qemu_cgroup_memory_bytes 123456789\n"
            "qemu_cgroup_pressure_seconds_total{resource=\"cpu\",kind=\"full\"} 0\n"
            "qemu_cgroup_pressure_seconds_total{resource=\"cpu\",kind=\"some\"} 2426.186337\n");
  EXPECT_TRUE(cgroup_figures(CgroupTexts()).empty());
}

TEST(CollectProcess, FindsTheCgroupWhereItIsMounted) {
  const std::string unified =
      "25 1 8:1 / / rw - ext4 /dev/sda rw\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
  const std::string part = "41 31 0:38 /machine /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

  EXPECT_EQ(cgroup_directory("1:cpu:/y\n0::/machine.slice/vm1.scope\n", unified),
            "/sys/fs/cgroup/unified/machine.slice/vm1.scope");
  EXPECT_EQ(cgroup_directory("0::/machine/vm1\n", part), "/sys/fs/cgroup/vm1");
  EXPECT_FALSE(cgroup_directory("0::/machine\n", part));
  EXPECT_FALSE(cgroup_directory("0::/other/vm1\n", part));
  EXPECT_FALSE(cgroup_directory("0::/\n", unified));
  EXPECT_FALSE(cgroup_directory("0::/../../other\n", unified));
  EXPECT_FALSE(cgroup_directory("1:cpu:/y\n", unified));
  EXPECT_FALSE(cgroup_directory("0::/vm1\n", "25 1 8:1 / / rw - ext4 /dev/sda rw\n"));
  EXPECT_FALSE(cgroup_directory("0::/vm1\n", "1 2 3 4 5 - cgroup2"));
}

TEST(CollectProcess, AScheduleThatTheKernelDoesNotKeepIsNone) {
  const auto schedule = parse_schedule("274537 10007056 2\n");

  ASSERT_TRUE(schedule);
  EXPECT_EQ(schedule->running_ns, 274537U);
  EXPECT_EQ(schedule->waiting_ns, 10007056U);
  EXPECT_FALSE(parse_schedule("0 0 0\n"));
  EXPECT_FALSE(parse_schedule("12\n"));
  EXPECT_FALSE(parse_schedule("-1 2 3\n"));
}

}  // namespace
}  // namespace qemon::daemon
