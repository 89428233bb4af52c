#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "daemon/journal.hpp"
#include "tests/cli/fake_daemon.hpp"

namespace qemon::cli {
namespace {

using test::expect;
using test::FakeDaemon;
using test::run_qemon;
using test::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Restore, LetsQemondDoIt) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/restore", 200, R"({"vms":[
    {"vm":"a","changed":["x","y"],"ended":[7,8],"error":""},
    {"vm":"b","changed":[],"ended":[],"error":""},
    {"vm":"c","changed":["z"],"ended":[9],"error":"is busy: its events go off later"}]})");

  expect(run_qemon({"restore"}, daemon.path()), 1,
         "a: 2 leases ended: 2 events off (x, y)\n"
         "b: 0 leases ended\n"
         "c: 1 lease ended: 1 event off (z)\n",
         "qemon: c: is busy: its events go off later\n");
  EXPECT_EQ(run_qemon({"restore", "--vm", "a"}, daemon.path()).status, 1);
  EXPECT_THAT(daemon.requests(),
              ElementsAre("POST /v1/restore {}", R"(POST /v1/restore {"vm":"a"})"));
}

TEST(Restore, DoesNotGoBehindTheBackOfAQemondThatRefuses) {
  FakeDaemon daemon;
  daemon.answer("POST /v1/restore", 403, R"({"error":"only root may control VMs"})");

  const auto outcome = run_qemon({"restore", "--runtime-dir", "/nowhere"}, daemon.path());

  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("only root may control VMs"));
}

TEST(Restore, HasNothingToDoWithoutAJournal) {
  const TempDir directory;

  expect(run_qemon({"restore", "--runtime-dir", directory.path().string()}, directory / "none"), 0,
         "qemond does not run, and its journal in " + directory.path().string() +
             " has nothing to restore\n",
         "");
}

TEST(Restore, AsksForTheFolderThatItCannotKnow) {
  const TempDir directory;

  expect(run_qemon({"restore"}, directory / "none"), 1, "",
         "qemon: qemond does not run, and where its journal is cannot be told: give "
         "--runtime-dir\n");
}

TEST(Restore, FailsForAMonitorThatIsNotThereAndForgetsAQemuThatIsGone) {
  const TempDir directory;
  daemon::JournalEntry entry;
  entry.vm = "unknown";
  entry.address = "unix:" + (directory / "no.qmp");
  entry.boot = daemon::boot_id();
  entry.on = {"a"};
  auto gone = entry;
  gone.vm = "gone";
  gone.address = "unix:" + (directory / "gone.qmp");
  gone.process = daemon::JournaledProcess{1, 1};  // Process 1 did not start then.
  {
    auto journal = daemon::Journal::open(directory.path().string());
    ASSERT_TRUE(journal);
    ASSERT_TRUE(journal->write(entry));
    ASSERT_TRUE(journal->write(gone));
  }
  const std::vector<std::string> command{"restore", "--runtime-dir", directory.path().string()};

  const auto first = run_qemon(command, directory / "none");
  const auto second = run_qemon(command, directory / "none");

  EXPECT_EQ(first.status, 1);
  EXPECT_THAT(first.out, HasSubstr("gone: that QEMU is gone, nothing to do\n"));
  EXPECT_THAT(first.err, HasSubstr("qemon: unknown: unix:"));
  EXPECT_EQ(second.status, 1);
  EXPECT_EQ(second.out, "");
  EXPECT_THAT(second.err, HasSubstr("qemon: unknown: unix:"));
}

TEST(Restore, RefusesAJournalThatIsALink) {
  const TempDir directory;
  std::filesystem::create_directory(directory / "elsewhere");
  std::filesystem::create_directory_symlink(directory / "elsewhere", directory / "journal");

  const auto outcome =
      run_qemon({"restore", "--runtime-dir", directory.path().string()}, directory / "none");

  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("is a symbolic link or no folder"));
}

}  // namespace
}  // namespace qemon::cli
