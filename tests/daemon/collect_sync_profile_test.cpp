#include "daemon/collect_sync_profile.hpp"

#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using test::expect_sound;
using test::samples_of;

TEST(CollectSyncProfile, ReadsTheTable) {
  // Of 7.2.
  const Figures figures = sync_profile_figures(
      "Type               Object  Call site                           Wait Time (s)         Count  "
      "Average (us)\r\n"
      "--------------------------------------------------------------------------------------------"
      "------------\r\n"
      "condvar    0x556e96ed7078  util/thread-pool.c:90                     0.12334           199  "
      "      619.81\r\n"
      "BQL mutex  0x556e8e908b40  util/main-loop.c:318                      0.01223           619  "
      "       19.76\r\n"
      "mutex      [           6]  ude/qemu/thread.h:118                     0.00004          1450  "
      "        0.03\r\n"
      "--------------------------------------------------------------------------------------------"
      "------------\r\n");

  expect_sound(figures);
  EXPECT_EQ(samples_of(figures),
            "qemu_sync_profile_wait_seconds_total{type=\"BQL mutex\","
            "call_site=\"util/main-loop.c:318\"} 0.01223\n"
            "qemu_sync_profile_wait_seconds_total{type=\"condvar\","
            "call_site=\"util/thread-pool.c:90\"} 0.12334\n"
            "qemu_sync_profile_wait_seconds_total{type=\"mutex\","
            "call_site=\"ude/qemu/thread.h:118\"} 4e-05\n"
            "qemu_sync_profile_waits_total{type=\"BQL mutex\","
            "call_site=\"util/main-loop.c:318\"} 619\n"
            "qemu_sync_profile_waits_total{type=\"condvar\","
            "call_site=\"util/thread-pool.c:90\"} 199\n"
            "qemu_sync_profile_waits_total{type=\"mutex\","
            "call_site=\"ude/qemu/thread.h:118\"} 1450\n");
}

TEST(CollectSyncProfile, AddsUpLocksOfOneCallSite) {
  EXPECT_EQ(
      samples_of(sync_profile_figures("mutex 0x1 a.c:1 0.5 2 0.1\nmutex 0x2 a.c:1 1 3 0.1\n")),
      "qemu_sync_profile_wait_seconds_total{type=\"mutex\",call_site=\"a.c:1\"} 1.5\n"
      "qemu_sync_profile_waits_total{type=\"mutex\",call_site=\"a.c:1\"} 5\n");
}

TEST(CollectSyncProfile, SurvivesWhateverTextComes) {
  EXPECT_TRUE(sync_profile_figures("").empty());
  EXPECT_TRUE(sync_profile_figures("unknown command: 'info sync-profile'\r\n").empty());
  EXPECT_TRUE(sync_profile_figures("mutex 0x1 a.c:1 nan 2 0.1\nmutex 0x1 a.c:1 -1 2 0.1\n"
                                   "mutex 0x1 a.c:1 inf 2 0.1\nmutex 0x1 a.c:1 1 2x 0.1\n"
                                   "0x1 a.c:1 1 2 0.1\nmutex a.c:1 1 2 0.1\n1 2 3\n \n] \n")
                  .empty());
}

}  // namespace
}  // namespace qemon::daemon
