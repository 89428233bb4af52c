// A thousand VMs on one qemond, and VMs that come and go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <utility>

#include "tests/support/daemon.hpp"
#include "tests/support/fake_qemu.hpp"
#include "tests/support/files.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::test {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;
using namespace std::chrono_literals;

constexpr int vms = thread_sanitized ? 20 : sanitized ? 100 : 1000;
constexpr int churned = vms;
// A QEMU has some tens of files open, and so is a process of so many fake ones.
constexpr int vms_a_process = 25;
constexpr Seconds interval{5};
constexpr double resident_bytes_max = 300e6;
// For what the allocator does not give back.
constexpr double resident_growth_max = 1.1;

class ManyVms : public testing::Test {
 protected:
  ManyVms() : fleet(directory / "vms", vms / vms_a_process) {
    std::string config = "discover: [{sockets: \"" + (directory / "vms") +
                         "/*.qmp\"}]\nsettings:\n- match: \"*\"\n  collectors: {";
    for (const char* each : {"block", "irq", "jit", "jobs", "kvm-stats", "memory", "migration",
                             "process", "replay", "threads"})
      config += std::string(each) + ": 5s, ";
    write_file(directory / "qemond.yaml", config + "}\n");
    for (int i = 0; i < vms; ++i) fleet.add(name_of(i));
    QemondOptions options;
    options.arguments = {"--config", directory / "qemond.yaml"};
    daemon = std::make_unique<Qemond>(directory.path(), options);
  }

  static std::string name_of(int number) { return "vm" + std::to_string(number); }

  [[nodiscard]] double resident_bytes() const {
    std::ifstream file("/proc/" + std::to_string(daemon->process().pid()) + "/statm");
    double total = 0, resident = 0;
    file >> total >> resident;
    return resident * 4096;
  }
  [[nodiscard]] std::size_t open_files() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(
             "/proc/" + std::to_string(daemon->process().pid()) + "/fd"))
      ++count;
    return count;
  }

  TempDir directory;
  FakeFleet fleet;
  std::unique_ptr<Qemond> daemon;
};

/// How many series each VM has.
std::map<std::string, std::size_t> series_by_vm(const Metrics& metrics) {
  std::map<std::string, std::size_t> counts;
  for (const auto& [name, value] : metrics.samples()) {
    const std::string_view label = "vm=\"";
    const auto at = name.find(label);
    if (at == std::string::npos) continue;
    const auto begin = at + label.size();
    ++counts[name.substr(begin, name.find('"', begin) - begin)];
  }
  return counts;
}

bool all_up(const Metrics& metrics, std::size_t count) {
  double up = 0;
  for (const auto& [name, value] : metrics.samples())
    if (name.starts_with("qemu_up{")) up += value;
  return up == static_cast<double>(count) && metrics.count("qemu_up") == count;
}

/// Every VM has what its collectors find, of all of them.
bool all_collected(const Metrics& metrics) {
  double succeeded = 0;
  std::size_t collectors = 0;
  for (const auto& [name, value] : metrics.samples()) {
    if (!name.starts_with("qemond_collector_success{")) continue;
    succeeded += value;
    ++collectors;
  }
  return collectors >= std::size_t{9} * vms && succeeded == static_cast<double>(collectors);
}

/// The polls of the collectors that came later than half an interval after their time, of all VMs.
/// `stood_still`: how long the machine may have let nobody run meanwhile.
std::vector<std::string> missed_polls(const nlohmann::json& counts, Clock::time_point since,
                                      Seconds stood_still) {
  const double begin = Seconds(since.time_since_epoch()).count();
  std::vector<std::string> missed;
  for (const auto& [vm, commands] : counts.items()) {
    for (const char* command : {"query-blockstats", "query-jobs", "query-stats", "query-migrate",
                                "query-balloon", "query-replay", "query-iothreads"}) {
      double gap = -1;
      for (const auto& each : commands) {
        if (each.at("command") != command || each.at("count").get<unsigned>() < 1) continue;
        gap =
            std::max(each.at("longest_gap").get<double>(), each.at("first").get<double>() - begin);
      }
      if (gap < 0 || gap > 1.5 * interval.count() + stood_still.count())
        missed.push_back(vm + " " + command + " " + std::to_string(gap) + " s");
    }
  }
  return missed;
}

TEST_F(ManyVms, ArePolledInTimeAndLeaveNothingWhenTheyGo) {
  const auto begin = Clock::now();
  Metrics metrics("");
  ASSERT_TRUE(wait_until(
      [&] {
        metrics = daemon->scrape();
        return all_up(metrics, vms) && all_collected(metrics);
      },
      120s));
  std::cout << vms << " VMs attached and collected in " << Seconds(Clock::now() - begin).count()
            << " s\n";

  fleet.reset_counts();
  const auto polling = Clock::now();
  Seconds longest_scrape{0};
  Seconds stood_still{0};
  // Time itself is the condition: two polls and a half of everything.
  ASSERT_TRUE(wait_until([&] {
    const auto scraping = Clock::now();
    metrics = daemon->scrape();
    longest_scrape = std::max(longest_scrape, Seconds(Clock::now() - scraping));
    EXPECT_TRUE(all_up(metrics, vms));
    // A scrape every few seconds, as from several Prometheus servers.
    auto looked = Clock::now();
    EXPECT_TRUE(wait_until([&] {
      const auto before = std::exchange(looked, Clock::now());
      stood_still = std::max(stood_still, Seconds(looked - before));
      return Clock::now() - scraping > interval / 2;
    }));
    return Clock::now() - polling > 2.5 * interval;
  }));
  const auto missed = missed_polls(fleet.counts(), polling, stood_still);
  EXPECT_TRUE(missed.empty()) << missed.size() << " missed, for instance " << missed.front();
  const auto by_vm = series_by_vm(metrics);
  EXPECT_EQ(by_vm.size(), static_cast<std::size_t>(vms));
  const auto expected = by_vm.empty() ? 0 : by_vm.begin()->second;
  for (const auto& [vm, count] : by_vm) EXPECT_EQ(count, expected) << vm;
  const auto resident = resident_bytes();
  const auto files = open_files();
  EXPECT_LT(sanitized ? 0 : resident, resident_bytes_max);
  std::cout << expected << " series each, /metrics " << metrics.text().size()
            << " bytes; longest scrape " << longest_scrape.count() << " s, resident "
            << resident / 1e6 << " MB, " << files << " files\n";

  // A hundred a second, each there for about two.
  const auto churn = Clock::now();
  constexpr int alive = 200;
  for (int i = 0; i < churned + alive; ++i) {
    if (i < churned) fleet.add("guest" + std::to_string(i));
    if (i >= alive) fleet.remove("guest" + std::to_string(i - alive));
    const auto due = churn + 10ms * (i + 1);
    ASSERT_TRUE(wait_until([&] { return Clock::now() >= due; }));
  }
  const auto back = wait_until(
      [&] {
        metrics = daemon->scrape();
        return metrics.text().find("vm=\"guest") == std::string::npos && all_up(metrics, vms);
      },
      120s);
  EXPECT_TRUE(back);
  EXPECT_EQ(series_by_vm(metrics).size(), static_cast<std::size_t>(vms));
  EXPECT_EQ(daemon->status().at("vms").size(), static_cast<std::size_t>(vms));
  EXPECT_TRUE(wait_until([&] { return open_files() <= files; })) << open_files() << " files";
  EXPECT_LT(sanitized ? 0 : resident_bytes(), resident * resident_growth_max);
  std::cout << "after " << churned << " more VMs: resident " << resident_bytes() / 1e6 << " MB, "
            << open_files() << " files\n";
}

}  // namespace
}  // namespace qemon::test
