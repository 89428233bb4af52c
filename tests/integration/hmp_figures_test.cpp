// A VM with a QMP and a human monitor, watched through both at once: the figures are the same, and
// what the human monitor cannot tell is absent.
#include <set>

#include "tests/integration/fixture.hpp"

namespace qemon::test {
namespace {

using testing::UnorderedElementsAre;
using Samples = std::map<std::string, double>;

class HumanMonitorFigures : public OnQemu {
 protected:
  [[nodiscard]] std::string socket() const { return directory / "vm/human"; }

  [[nodiscard]] QemuOptions with_both_monitors(std::vector<std::string> more = {}) const {
    QemuOptions options;
    options.arguments = {"-monitor", "unix:" + socket() + ",server=on,wait=off"};
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    return options;
  }

  /// One VM under two names.
  [[nodiscard]] QemondOptions watching_twice(const Qemu& vm) const {
    auto options = watching({{"qmp", vm.address()}, {"human", "hmp:unix:" + socket()}});
    for (const char* each : {"block=100ms", "irq=100ms", "jit=100ms", "memory=100ms", "jobs=100ms",
                             "migration=100ms", "replay=100ms", "kvm-stats=100ms"}) {
      options.arguments.insert(options.arguments.end(), {"--collector", each});
    }
    return options;
  }

  static void wait_attached(const Qemond& daemon) {
    ASSERT_TRUE(daemon.wait_attached("qmp"));
    ASSERT_TRUE(daemon.wait_attached("human"));
  }

  /// The samples of families that begin with one of `prefixes`, without the label `vm`.
  static Samples figures(const Metrics& metrics, const std::string& vm,
                         const std::vector<std::string>& prefixes) {
    const std::string label = "vm=\"" + vm + "\"";
    Samples found;
    for (const auto& [name, value] : metrics.samples()) {
      const auto at = name.find(label);
      const bool wanted = std::any_of(prefixes.begin(), prefixes.end(),
                                      [&](const auto& prefix) { return name.starts_with(prefix); });
      if (wanted && at != std::string::npos)
        found[std::string(name).erase(at, label.size())] = value;
    }
    return found;
  }

  struct Comparison {
    std::size_t same = 0;
    std::set<std::string> different;  ///< Samples, or those that only the human monitor gives.
    std::set<std::string> missing;    ///< Families that the human monitor lacks some samples of.
  };
  static Comparison compare(const Qemond& daemon, const std::vector<std::string>& prefixes) {
    const auto metrics = daemon.scrape();
    const auto qmp = figures(metrics, "qmp", prefixes);
    const auto human = figures(metrics, "human", prefixes);
    Comparison result;
    for (const auto& [name, value] : human) {
      const auto other = qmp.find(name);
      if (other != qmp.end() && other->second == value) {
        ++result.same;
      } else {
        result.different.insert(name + " " + std::to_string(value));
      }
    }
    for (const auto& [name, value] : qmp)
      if (!human.contains(name)) result.missing.insert(name.substr(0, name.find('{')));
    return result;
  }

  /// Waits until all of them are there and none differs. The guest must stand still.
  static Comparison settled(const Qemond& daemon, const std::vector<std::string>& prefixes,
                            std::size_t same_min) {
    Comparison result;
    EXPECT_TRUE(wait_until([&] {
      result = compare(daemon, prefixes);
      return result.same >= same_min && result.different.empty();
    })) << result.same
        << " are the same, but not " << testing::PrintToString(result.different);
    return result;
  }

  static std::optional<double> value(const Qemond& daemon, const char* name, const char* vm) {
    return daemon.scrape().get(series(name, {{"vm", vm}}));
  }
};
ON_EACH_QEMU(HumanMonitorFigures);

TEST_P(HumanMonitorFigures, OfDisksAreThoseOfQmp) {
  // Beside the guest's disk a drive without a medium, and a disk without a drive's name.
  Qemu vm(GetParam(), directory / "vm", with_both_monitors({"-device", "ide-cd,id=cd1"}));
  const nlohmann::json node = {
      {"driver", "null-co"}, {"node-name", "n1"}, {"size", 1048576}, {"read-zeroes", true}};
  vm.monitor().execute("blockdev-add", node);
  const nlohmann::json disk = {{"driver", "virtio-blk-pci"}, {"drive", "n1"}, {"id", "vd1"}};
  vm.monitor().execute("device_add", disk);
  const Qemond daemon(home(), watching_twice(vm));
  wait_attached(daemon);
  vm.guest().read(30);
  vm.guest().write(11);
  vm.monitor().execute("stop");

  const std::vector<std::string> totals{
      "qemu_blockdev_bytes_total",  "qemu_blockdev_operations_total",
      "qemu_blockdev_merged_total", "qemu_blockdev_time_seconds_total",
      "qemu_blockdev_failed_total", "qemu_blockdev_invalid_total",
      "qemu_blockdev_highest",
  };
  // Of three devices: bytes and merges of two operations, numbers and times of three.
  const auto found = settled(daemon, totals, 3 * (2 + 3 + 2 + 3));

  const auto metrics = daemon.scrape();
  const auto human = [&](const char* name, const char* device, const char* operation) {
    return metrics.get(
        series(name, {{"vm", "human"}, {"device", device}, {"operation", operation}}));
  };
  const char* const operations = "qemu_blockdev_operations_total";
  EXPECT_GE(human(operations, "disk0", "read"), 30);
  EXPECT_EQ(human(operations, "disk0", "read"), vm.block_statistic("rd_operations"));
  EXPECT_EQ(human("qemu_blockdev_bytes_total", "disk0", "write"), vm.block_statistic("wr_bytes"));
  EXPECT_TRUE(human(operations, "vd1", "read").has_value());
  EXPECT_TRUE(human(operations, "cd1", "read").has_value());
  EXPECT_FALSE(human(operations, "disk0", "discard").has_value());
  EXPECT_THAT(found.missing,
              UnorderedElementsAre("qemu_blockdev_bytes_total", "qemu_blockdev_operations_total",
                                   "qemu_blockdev_merged_total", "qemu_blockdev_time_seconds_total",
                                   "qemu_blockdev_failed_total", "qemu_blockdev_invalid_total",
                                   "qemu_blockdev_highest_write_offset_bytes"));
  EXPECT_TRUE(wait_until([&] {
    const auto idle = daemon.scrape().get(
        series("qemu_blockdev_idle_seconds", {{"vm", "human"}, {"device", "disk0"}}));
    return idle.has_value() && *idle > 0;
  }));
  EXPECT_EQ(metrics.count("qemu_blockdev_idle_seconds"),
            figures(metrics, "qmp", {"qemu_blockdev_idle_seconds"}).size() +
                figures(metrics, "human", {"qemu_blockdev_idle_seconds"}).size());
}

TEST_P(HumanMonitorFigures, OfInterruptsAndTcgAreThoseOfQmp) {
  Qemu vm(GetParam(), directory / "vm", with_both_monitors());
  const Qemond daemon(home(), watching_twice(vm));
  wait_attached(daemon);
  vm.guest().read(30);
  vm.monitor().execute("stop");

  EXPECT_TRUE(settled(daemon, {"qemu_irq_"}, 2).missing.empty());
  EXPECT_TRUE(settled(daemon, {"qemu_jit_"}, 12).missing.empty());
}

TEST_P(HumanMonitorFigures, OfMemoryAreThoseOfQmp) {
  Qemu vm(GetParam(), directory / "vm", with_both_monitors({"-device", "virtio-balloon"}));
  const Qemond daemon(home(), watching_twice(vm));
  wait_attached(daemon);
  const nlohmann::json one_second = {{"calc-time", 1}};
  vm.monitor().execute("calc-dirty-rate", one_second);

  // Base, plugged, balloon, and once it was measured the dirty rate.
  const std::vector<std::string> all{"qemu_memory_", "qemu_balloon_", "qemu_dirty_rate_bytes"};
  EXPECT_TRUE(settled(daemon, all, 4).missing.empty());

  EXPECT_EQ(value(daemon, "qemu_balloon_actual_bytes", "human"),
            vm.monitor().execute("query-balloon").at("actual").get<double>());
  const auto age = value(daemon, "qemu_dirty_rate_age_seconds", "human");
  ASSERT_TRUE(age.has_value());
  EXPECT_LT(*age, 100);
}

TEST_P(HumanMonitorFigures, WithoutABalloonThereIsNone) {
  Qemu vm(GetParam(), directory / "vm", with_both_monitors());
  const Qemond daemon(home(), watching_twice(vm));
  wait_attached(daemon);

  settled(daemon, {"qemu_memory_", "qemu_balloon_", "qemu_dirty_rate_"}, 2);

  EXPECT_EQ(daemon.scrape().count("qemu_balloon_actual_bytes"), 0U);
  EXPECT_EQ(daemon.scrape().count("qemu_dirty_rate_age_seconds"), 0U);
}

TEST_P(HumanMonitorFigures, OfMigrationAreThoseOfQmp) {
  Qemu vm(GetParam(), directory / "vm", with_both_monitors());
  const Qemond daemon(home(), watching_twice(vm));
  wait_attached(daemon);
  EXPECT_EQ(daemon.scrape().count("qemu_migration_status"), 0U);
  const nlohmann::json nowhere = {{"uri", "exec:cat >/dev/null"}};
  vm.monitor().execute("migrate", nowhere);
  ASSERT_TRUE(wait_until(
      [&] { return vm.monitor().execute("query-migrate").value("status", "") == "completed"; }));

  // 15 statuses, elapsed, downtime and setup times, remaining and total, and what is counted.
  const auto found =
      settled(daemon,
              {"qemu_migration_status", "qemu_migration_elapsed", "qemu_migration_downtime",
               "qemu_migration_setup", "qemu_migration_ram_remaining", "qemu_migration_ram_total",
               "qemu_migration_dirty", "qemu_migration_iterations"},
              15 + 3 + 2 + 2);

  EXPECT_TRUE(found.missing.empty());
  const auto transferred = value(daemon, "qemu_migration_ram_transferred_bytes", "qmp");
  const auto human = value(daemon, "qemu_migration_ram_transferred_bytes", "human");
  ASSERT_TRUE(transferred && human);
  EXPECT_GT(*human, 0);
  EXPECT_LE(*human, *transferred);
  EXPECT_GT(*human, *transferred - 1024);
}

TEST_P(HumanMonitorFigures, OfBlockJobsTellHowFarTheyAre) {
  Qemu vm(GetParam(), directory / "vm", with_both_monitors());
  const Qemond daemon(home(), watching_twice(vm));
  wait_attached(daemon);
  std::int64_t size = 0;
  for (const auto& each : vm.monitor().execute("query-block")) {
    if (each.value("device", "") == "disk0") size = each["inserted"]["image"]["virtual-size"];
  }
  const nlohmann::json target = {
      {"driver", "null-co"}, {"node-name", "copy"}, {"size", size}, {"read-zeroes", true}};
  vm.monitor().execute("blockdev-add", target);
  // So slow that it stands still most of the time.
  const nlohmann::json mirror = {{"job-id", "mirror-1"},
                                 {"device", "disk0"},
                                 {"target", "copy"},
                                 {"sync", "full"},
                                 {"speed", 65536}};
  vm.monitor().execute("blockdev-mirror", mirror);
  const auto found = settled(daemon, {"qemu_job"}, 3);

  EXPECT_THAT(found.missing,
              UnorderedElementsAre("qemu_jobs", "qemu_job_status", "qemu_job_io_error"));
  EXPECT_EQ(
      daemon.scrape().get(series("qemu_job_progress_end", {{"vm", "human"}, {"job", "mirror-1"}})),
      vm.monitor().execute("query-jobs").at(0).at("total-progress").get<double>());
}

TEST_P(HumanMonitorFigures, OfARecordedGuestTellItsInstructions) {
  Qemu vm(GetParam(), directory / "vm",
          with_both_monitors(
              {"-icount", "shift=1,rr=record,rrfile=" + directory.path().string() + "/vm/replay"}));
  const Qemond daemon(home(), watching_twice(vm));
  wait_attached(daemon);
  vm.monitor().execute("stop");

  settled(daemon, {"qemu_guest_instructions_total"}, 1);

  EXPECT_EQ(value(daemon, "qemu_guest_instructions_total", "human"),
            vm.monitor().execute("query-replay").at("icount").get<double>());
}

TEST_P(HumanMonitorFigures, AreAbsentWhereOnlyQmpTellsThem) {
  Qemu vm(GetParam(), directory / "vm", with_both_monitors({"-icount", "shift=1"}));
  const Qemond daemon(home(), watching_twice(vm));
  wait_attached(daemon);
  const auto success = [&](const char* collector, const char* which) {
    return daemon.scrape().get(
        series("qemond_collector_success", {{"vm", which}, {"collector", collector}}));
  };
  ASSERT_TRUE(wait_until([&] {
    return success("replay", "human") == 1 && success("kvm-stats", "qmp") == 1 &&
           value(daemon, "qemu_guest_instructions_total", "qmp") > 0;
  }));

  EXPECT_EQ(daemon.scrape().count("qemu_guest_instructions_total"), 1U);
  EXPECT_FALSE(success("kvm-stats", "human").has_value());
  for (const char* collector :
       {"block", "irq", "jit", "jobs", "memory", "migration", "process", "threads"}) {
    EXPECT_TRUE(wait_until([&] { return success(collector, "human") == 1; })) << collector;
  }
}

TEST_P(HumanMonitorFigures, OfLocksAreThereAndProfilingIsLeftAsFound) {
  Qemu vm(GetParam(), directory / "vm", with_both_monitors());
  auto options = watching({{"human", "hmp:unix:" + socket()}});
  options.arguments.insert(options.arguments.end(), {"--collector", "sync-profile=100ms"});
  Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("human"));

  EXPECT_TRUE(
      wait_until([&] { return daemon.scrape().count("qemu_sync_profile_waits_total") > 0; }));

  EXPECT_THAT(vm.monitor().human("sync-profile"), testing::HasSubstr("is on"));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_THAT(vm.monitor().human("sync-profile"), testing::HasSubstr("is off"));
}

}  // namespace
}  // namespace qemon::test
