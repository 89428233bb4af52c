#include "daemon/service_manager.hpp"

#include <gtest/gtest.h>

namespace qemon::daemon {
namespace {

ServiceFigures tracing(double records_per_second) {
  ServiceFigures figures;
  figures.vms = 3;
  figures.tracing = 2;
  figures.records_per_second = records_per_second;
  return figures;
}

TEST(ServiceManager, SumsUpInOneLine) {
  EXPECT_EQ(to_text(tracing(41'234)), "3 VMs, 2 tracing, 41k records/s");
}

TEST(ServiceManager, SaysHowManyAreOutOfReach) {
  ServiceFigures figures;
  figures.vms = 1;
  figures.out_of_reach = 1;

  EXPECT_EQ(to_text(figures), "1 VM (1 out of reach), 0 tracing, 0 records/s");
}

TEST(ServiceManager, GivesARateTheDigitsThatSaySomething) {
  EXPECT_EQ(to_text(tracing(0.4)), "3 VMs, 2 tracing, 0 records/s");
  EXPECT_EQ(to_text(tracing(999)), "3 VMs, 2 tracing, 999 records/s");
  EXPECT_EQ(to_text(tracing(999.7)), "3 VMs, 2 tracing, 1.0k records/s");
  EXPECT_EQ(to_text(tracing(9'949)), "3 VMs, 2 tracing, 9.9k records/s");
  EXPECT_EQ(to_text(tracing(9'960)), "3 VMs, 2 tracing, 10k records/s");
  EXPECT_EQ(to_text(tracing(1'230'000)), "3 VMs, 2 tracing, 1.2M records/s");
  EXPECT_EQ(to_text(tracing(5e12)), "3 VMs, 2 tracing, 5000G records/s");
}

}  // namespace
}  // namespace qemon::daemon
