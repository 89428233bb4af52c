// Monitors that fail in every way and at every step delay neither /metrics, nor qemon, nor any
// other VM; it is said what is wrong with them, and they come back by themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "qmp/client.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/fake_qemu.hpp"
#include "tests/support/files.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::test {
namespace {

using nlohmann::json;
using testing::IsEmpty;
using Seconds = std::chrono::duration<double>;

/// What qemond may say of a monitor that does not answer, at the handshake and later.
const std::vector<std::string> silent{"no answer within", "did not answer", "not sent within"};
const std::vector<std::string> hung_up{"QEMU closed the monitor connection"};

/// A way to fail: a row is all that a further one needs.
struct Way {
  std::string failure;            ///< As tests/fake_qemu/failure.hpp has it, without the command.
  std::vector<std::string> says;  ///< One of these is in the reason; empty: it need not be down.
  bool stays_down = true;         ///< The session lasts, or ends before it was attached.
};
const std::vector<Way> ways{
    {"hang", silent},
    {"half", silent},
    {"wrong-id", silent},
    {"slow:7000", silent},
    {"slow:300", {}, false},
    {"flood", {"no answer within", "did not answer", "events"}},
    {"busy-flood", {}, false},
    {"close", hung_up, false},
    {"garbage", {"this is not a QMP monitor: it sent \"Segmentation fault"}, false},
    {"long", {"a message of more than 2097152 bytes"}, false},
    {"error-without-id", {"could not parse what we sent"}, false},
};

/// Who waits for a monitor that does not answer waits for its deadline, so this tells whether
/// anybody did. How long it takes otherwise is a matter for tests/bench/fleet.py: here one build
/// without optimisation, 399 monitors that fail and the test share two cores. What it took is
/// printed.
constexpr Seconds scrape_bound{sanitized ? Seconds(thread_sanitized ? 60 : 20)
                                         : Seconds(qmp::default_deadline)};
/// Of every collector.
constexpr Seconds interval{2};
constexpr Seconds poll_bound{sanitized ? 60 : 10};

bool contains_any(const std::string& text, const std::vector<std::string>& parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const std::string& part) { return text.find(part) != std::string::npos; });
}

class FailingMonitors : public testing::TestWithParam<Way> {
 protected:
  FailingMonitors() {
    std::string config = "discover: [{sockets: \"" + sockets() +
                         "/*.qmp\"}]\nsettings:\n- match: \"*\"\n  collectors: {";
    for (const char* each : {"block", "irq", "jit", "jobs", "kvm-stats", "memory", "migration",
                             "process", "replay", "threads"})
      config += std::string(each) + ": 2s, ";
    write_file(directory / "qemond.yaml", config + "}\n");
  }

  [[nodiscard]] std::string sockets() const { return directory / "vms"; }
  [[nodiscard]] QemondOptions discovering() const {
    QemondOptions options;
    options.arguments = {"--config", directory / "qemond.yaml"};
    return options;
  }

  /// Scrapes, and keeps how long the longest scrape took.
  Metrics scrape(const Qemond& daemon) {
    const auto begin = std::chrono::steady_clock::now();
    auto metrics = daemon.scrape();
    longest_scrape = std::max(longest_scrape, Seconds(std::chrono::steady_clock::now() - begin));
    return metrics;
  }
  double up(const Qemond& daemon, const std::string& vm) {
    return scrape(daemon).get(series("qemu_up", {{"vm", vm}})).value_or(-1);
  }

  TempDir directory;
  Seconds longest_scrape{0};
};

/// The line of `qemon status` that says how each VM is, by name.
std::map<std::string, std::string> headlines(const Qemond& daemon) {
  const auto finished = daemon.qemon({"status"});
  EXPECT_EQ(finished.status, ExitStatus{}) << finished.err;
  std::map<std::string, std::string> all;
  std::istringstream lines(finished.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(" ") || line.find(": ") == std::string::npos) continue;
    all[line.substr(0, line.find(": "))] = line.substr(line.find(": ") + 2);
  }
  return all;
}

/// Every collector has succeeded once.
bool all_collected(const Metrics& metrics, const std::string& vm) {
  std::size_t collectors = 0;
  for (const auto& [name, value] : metrics.samples()) {
    if (!name.starts_with("qemond_collector_success{") ||
        name.find("vm=\"" + vm + "\"") == std::string::npos)
      continue;
    if (value != 1) return false;
    ++collectors;
  }
  return collectors >= 8;
}

/// The samples of one VM that are of this type, without qemu_up and what says who it was.
std::map<std::string, double> figures_of(const Metrics& metrics, const std::string& vm,
                                         const std::string& type) {
  std::set<std::string> families;
  std::istringstream lines(metrics.text());
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, word, family, its_type;
    words >> hash >> word >> family >> its_type;
    if (word == "TYPE" && its_type == type && family.starts_with("qemu_")) families.insert(family);
  }
  std::map<std::string, double> found;
  for (const auto& [name, value] : metrics.samples()) {
    const auto family = name.substr(0, name.find('{'));
    if (!families.contains(family) || family == "qemu_up" || family == "qemu_vm_info") continue;
    if (name.find("vm=\"" + vm + "\"") != std::string::npos) found.emplace(name, value);
  }
  return found;
}

std::map<std::string, double> last_successes(const Metrics& metrics, const std::string& vm) {
  std::map<std::string, double> found;
  for (const auto& [name, value] : metrics.samples()) {
    if (name.starts_with("qemond_collector_last_success_timestamp_seconds{") &&
        name.find("vm=\"" + vm + "\"") != std::string::npos)
      found.emplace(name, value);
  }
  return found;
}

std::set<std::string> names_of(const std::map<std::string, double>& figures) {
  std::set<std::string> names;
  for (const auto& [name, value] : figures) names.insert(name);
  return names;
}

/// A flood adds a counter, of QMP events.
MATCHER_P(HasAll, wanted, "") {
  for (const auto& name : wanted) {
    if (arg.contains(name)) continue;
    *result_listener << "lacks " << name;
    return false;
  }
  return true;
}

void PrintTo(const Way& way, std::ostream* out) {
  *out << way.failure;
}

std::string test_name(const testing::TestParamInfo<Way>& info) {
  std::string name = info.param.failure;
  for (char& each : name)
    if (std::isalnum(static_cast<unsigned char>(each)) == 0) each = '_';
  return name;
}

/// Those that keep a session which they had, plus a process that a debugger stops.
std::vector<Way> ways_to_block() {
  std::vector<Way> blocking{{"SIGSTOP", silent}};
  std::copy_if(ways.begin(), ways.end(), std::back_inserter(blocking),
               [](const Way& way) { return way.stays_down; });
  return blocking;
}
INSTANTIATE_TEST_SUITE_P(Fake, FailingMonitors, testing::ValuesIn(ways_to_block()), test_name);

TEST_P(FailingMonitors, OfAnAttachedVmLeaveItsCountersAndTakeItsGauges) {
  FakeQemu vm(sockets());
  vm.add("vm");
  const Qemond daemon(directory.path(), discovering());
  ASSERT_TRUE(wait_until([&] { return all_collected(scrape(daemon), "vm"); }));
  const auto counters = names_of(figures_of(scrape(daemon), "vm", "counter"));

  if (GetParam().failure == "SIGSTOP")
    vm.process().signal(SIGSTOP);
  else
    vm.fail("vm", GetParam().failure + "@query-status");

  ASSERT_TRUE(wait_until([&] { return up(daemon, "vm") == 0; }));
  const auto headline = headlines(daemon)["vm"];
  EXPECT_TRUE(contains_any(headline, GetParam().says)) << headline;
  const auto before = scrape(daemon);
  EXPECT_THAT(figures_of(before, "vm", "gauge"), IsEmpty());
  EXPECT_THAT(names_of(figures_of(before, "vm", "counter")), HasAll(counters));
  EXPECT_THAT(last_successes(before, "vm"), testing::Not(IsEmpty()));
  const auto timeouts = series("qemond_monitor_timeouts_total", {{"vm", "vm"}});
  EXPECT_TRUE(wait_until(
      [&] { return scrape(daemon).get(timeouts).value_or(0) > before.get(timeouts).value_or(0); }));
  const auto after = scrape(daemon);
  EXPECT_EQ(last_successes(after, "vm"), last_successes(before, "vm"));
  EXPECT_THAT(names_of(figures_of(after, "vm", "counter")), HasAll(counters));
  EXPECT_EQ(after.get(series("qemu_up", {{"vm", "vm"}})), 0);

  if (GetParam().failure == "SIGSTOP")
    vm.process().signal(SIGCONT);
  else
    vm.heal("vm");
  EXPECT_TRUE(wait_until([&] {
    const auto metrics = scrape(daemon);
    return up(daemon, "vm") == 1 && !figures_of(metrics, "vm", "gauge").empty() &&
           last_successes(metrics, "vm") > last_successes(before, "vm");
  }));
  EXPECT_LT(longest_scrape, scrape_bound);
}

TEST_F(FailingMonitors, OfAVmThatIsAwayTellOnlyWhenItAnsweredLast) {
  FakeQemu vm(sockets());
  vm.add("vm");
  const Qemond daemon(directory.path(), discovering());
  ASSERT_TRUE(wait_until([&] { return all_collected(scrape(daemon), "vm"); }));

  vm.fail("vm", "close@query-status");
  ASSERT_TRUE(wait_until([&] { return up(daemon, "vm") == 0; }));
  vm.fail("vm", "no-greeting");
  ASSERT_TRUE(wait_until([&] { return daemon.vm_state("vm") == "busy"; }));

  const auto metrics = scrape(daemon);
  EXPECT_EQ(metrics.get(series("qemu_up", {{"vm", "vm"}})), 0);
  EXPECT_THAT(figures_of(metrics, "vm", "gauge"), IsEmpty());
  EXPECT_THAT(last_successes(metrics, "vm"), testing::Not(IsEmpty()));
  vm.heal("vm");
  EXPECT_TRUE(wait_until([&] { return all_collected(scrape(daemon), "vm"); }));
}

TEST_F(FailingMonitors, ThatDidNotTellTheirCommandsAtOnceAreAskedAgain) {
  FakeQemu vm(sockets());
  vm.add("vm", "hang@query-commands");
  const Qemond daemon(directory.path(), discovering());
  ASSERT_TRUE(
      wait_until([&] { return up(daemon, "vm") == 0 && daemon.vm_state("vm") == "attached"; }));

  vm.heal("vm");

  EXPECT_TRUE(wait_until([&] { return all_collected(scrape(daemon), "vm"); }));
}

/// A VM of the great gathering below.
struct Failing {
  std::string name;
  std::string failure;
  const Way* way = nullptr;
  FakeQemu* process = nullptr;
  std::string seen{};  ///< The reason, when it was as expected.
  bool was_down = false;
};

/// Every command that qemond sends to a VM, in their order, as failures name them: once more with
/// "#2" where it is sent again.
std::vector<std::string> steps_of(FakeQemu& process, const std::string& vm) {
  std::vector<std::string> steps;
  const auto counts = process.counts();
  for (const auto& each : counts.at(vm)) {
    steps.push_back(each.at("command"));
    if (each.at("count").get<unsigned>() > 1) steps.push_back(steps.back() + "#2");
  }
  return steps;
}

TEST_F(FailingMonitors, OfAllKindsAtOnceDelayNobody) {
  FakeQemu healthy(sockets());
  FakeQemu healthy_tcg(sockets(), Recording::tcg);
  std::vector<std::string> well{"well-tcg"};
  healthy_tcg.add("well-tcg");
  for (int i = 0; i < 8; ++i) {
    well.push_back("well" + std::to_string(i));
    healthy.add(well.back());
  }
  const Qemond daemon(directory.path(), discovering());
  for (const auto& vm : well)
    ASSERT_TRUE(wait_until([&] { return all_collected(scrape(daemon), vm); })) << vm;
  // Until the second round of everything, so that there is a second time of what has one.
  ASSERT_TRUE(wait_until([&] {
    const auto steps = steps_of(healthy, "well0");
    return std::find(steps.begin(), steps.end(), "query-blockstats#2") != steps.end() &&
           std::find(steps.begin(), steps.end(), "query-status#2") != steps.end();
  }));

  const auto steps = steps_of(healthy, "well0");
  ASSERT_GT(steps.size(), 20U);
  FakeQemu stopped(sockets());
  std::vector<std::unique_ptr<FakeQemu>> processes;
  const Way no_greeting{"no-greeting", {"another client holds this monitor"}};
  const Way no_monitor{"greeting-garbage", {"this is not a QMP monitor: it sent \"220 mail"}};
  const Way in_debugger{"SIGSTOP", silent};
  std::vector<Failing> failing;
  failing.push_back({"stopped", "SIGSTOP", &in_debugger, &stopped});
  processes.push_back(std::make_unique<FakeQemu>(sockets()));
  for (const Way* way : {&no_greeting, &no_monitor})
    failing.push_back({way->failure, way->failure, way, processes.back().get()});
  for (std::size_t i = 0; i < ways.size(); ++i) {
    processes.push_back(std::make_unique<FakeQemu>(sockets()));
    for (std::size_t step = 0; step < steps.size(); step += thread_sanitized ? 12
                                                            : sanitized      ? 6
                                                                             : 1)
      failing.push_back({"ill" + std::to_string(i) + "-" + std::to_string(step),
                         ways[i].failure + "@" + steps[step], &ways[i], processes.back().get()});
  }
  stopped.add("stopped");
  ASSERT_TRUE(wait_until([&] { return all_collected(scrape(daemon), "stopped"); }));

  healthy.reset_counts();
  healthy_tcg.reset_counts();
  stopped.process().signal(SIGSTOP);
  for (auto& vm : failing)
    if (vm.process != &stopped) vm.process->add(vm.name, vm.failure);

  std::size_t looks = 0;
  Seconds longest_status{0};
  const auto all_seen = wait_until(
      [&] {
        ++looks;
        const auto metrics = scrape(daemon);
        const auto begin = std::chrono::steady_clock::now();
        auto lines = headlines(daemon);
        longest_status =
            std::max(longest_status, Seconds(std::chrono::steady_clock::now() - begin));
        for (const auto& vm : well)
          EXPECT_EQ(metrics.get(series("qemu_up", {{"vm", vm}})), 1) << vm << " at look " << looks;
        for (auto& vm : failing) {
          if (lines.contains(vm.name) && contains_any(lines[vm.name], vm.way->says))
            vm.seen = lines[vm.name];
          vm.was_down |= metrics.get(series("qemu_up", {{"vm", vm.name}})) == 0;
        }
        return std::all_of(failing.begin(), failing.end(), [](const Failing& vm) {
          return vm.way->says.empty() || (vm.was_down && (!vm.seen.empty() || !vm.way->stays_down));
        });
      },
      4 * default_deadline);

  // A VM whose session ends at a poll is attached again at once, and its reason seldom seen; it is
  // in the log.
  const auto log = daemon.log();
  for (const auto& vm : failing) {
    if (vm.way->says.empty()) continue;
    EXPECT_TRUE(vm.was_down) << vm.failure;
    bool said = !vm.seen.empty();
    std::istringstream lines(log);
    for (std::string line; !said && !vm.way->stays_down && std::getline(lines, line);)
      said =
          line.find(" " + vm.name + ": ") != std::string::npos && contains_any(line, vm.way->says);
    EXPECT_TRUE(said) << vm.failure << ": " << headlines(daemon)[vm.name];
  }
  EXPECT_TRUE(all_seen);
  for (auto* process : {&healthy, &healthy_tcg}) {
    const auto counts = process->counts();
    for (const auto& [vm, commands] : counts.items()) {
      for (const auto& each : commands) {
        // What is asked by the way of attaching is not asked again.
        if (each.at("count").get<unsigned>() < 2) continue;
        const bool looks_for_changes = each.at("command") == "info trace-events";
        if (looks_for_changes) continue;
        EXPECT_LT(each.at("longest_gap").get<double>(), poll_bound.count())
            << vm << ": " << each.dump();
      }
    }
  }
  EXPECT_LT(longest_scrape, scrape_bound);
  EXPECT_LT(longest_status, scrape_bound);
  std::cout << failing.size() << " VMs fail; longest scrape " << longest_scrape.count()
            << " s, longest qemon status " << longest_status.count() << " s, " << looks
            << " looks\n";

  stopped.process().signal(SIGCONT);
  for (auto& vm : failing)
    if (vm.process != &stopped) vm.process->heal(vm.name);
  std::string missing;
  EXPECT_TRUE(wait_until([&] {
    const auto metrics = scrape(daemon);
    missing.clear();
    for (const auto& vm : failing)
      if (metrics.get(series("qemu_up", {{"vm", vm.name}})) != 1) missing += vm.failure + " ";
    return missing.empty();
  })) << "not back: "
      << missing;
}

}  // namespace
}  // namespace qemon::test
