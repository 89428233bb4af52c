#include "daemon/collect_migration.hpp"

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

// Of 10.0.
const char* const completed =
    R"({"status": "completed", "setup-time": 2, "downtime": 7, "total-time": 27, "ram": {
        "total": 134750208, "postcopy-requests": 0, "dirty-sync-count": 2, "multifd-bytes": 0,
        "pages-per-second": 0, "downtime-bytes": 4111, "page-size": 4096, "remaining": 0,
        "postcopy-bytes": 0, "mbps": 339.27423999999996, "transferred": 1060232,
        "dirty-sync-missed-zero-copy": 0, "precopy-bytes": 795764, "duplicate": 32776,
        "dirty-pages-rate": 0, "normal-bytes": 503808, "normal": 123}})";

TEST(CollectMigration, ShowsAMigrationThatCompleted) {
  const Figures figures = migration_figures(json::parse(completed));

  expect_sound(figures);
  const std::string samples = samples_of(figures);
  for (const char* const line : {
           "qemu_migration_status{status=\"completed\"} 1\n",
           "qemu_migration_status{status=\"active\"} 0\n",
           "qemu_migration_elapsed_seconds 0.027\n",
           "qemu_migration_downtime_seconds 0.007\n",
           "qemu_migration_setup_seconds 0.002\n",
           "qemu_migration_ram_transferred_bytes 1060232\n",
           "qemu_migration_ram_remaining_bytes 0\n",
           "qemu_migration_ram_total_bytes 134750208\n",
           "qemu_migration_dirty_pages_per_second 0\n",
           "qemu_migration_iterations 2\n",
       }) {
    EXPECT_THAT(samples, HasSubstr(line));
  }
  EXPECT_THAT(samples, Not(HasSubstr("expected")));
}

TEST(CollectMigration, AnActiveOneHasAnExpectedDowntime) {
  const json answer{{"status", "active"}, {"expected-downtime", 300}};

  const std::string samples = samples_of(migration_figures(answer));

  EXPECT_THAT(samples, HasSubstr("qemu_migration_expected_downtime_seconds 0.3\n"));
  EXPECT_THAT(samples, Not(HasSubstr("ram")));
}

TEST(CollectMigration, WithoutAMigrationNothingIsShown) {
  EXPECT_TRUE(migration_figures(json::object()).empty());
  EXPECT_TRUE(migration_figures(json{{"status", "none"}}).empty());
}

TEST(CollectMigration, AStatusOfALaterQemuIsOther) {
  EXPECT_THAT(samples_of(migration_figures(json{{"status", "teleporting"}})),
              HasSubstr("qemu_migration_status{status=\"other\"} 1\n"));
}

TEST(CollectMigration, SurvivesWhateverAnswerComes) {
  for (const json& answer : test::spoilt(json::parse(completed))) {
    expect_sound(migration_figures(answer));
  }
}

}  // namespace
}  // namespace qemon::daemon
