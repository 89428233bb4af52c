// What a trace may cost: floods end by themselves, and cheap events beside them stay.
#include <sched.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/integration/budget_fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A guest that polls its serial port makes some ten or hundred thousand records a second.
constexpr const char* small_budget = "records=2000,lag=unlimited,grace=500ms";

nlohmann::json tripped(const Qemond& daemon) {
  return daemon.vm("vm").at("budget").at("tripped");
}

class BudgetOn : public WithBudget {};
ON_EACH_QEMU(BudgetOn);

TEST_P(BudgetOn, SwitchesOffAFloodAndLeavesWhatIsCheap) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), with_budget(vm, small_budget));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().start_polling();

  daemon.events_on({flood_event, cheap_event});

  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(flood_event); }));
  EXPECT_TRUE(vm.monitor().event_enabled(cheap_event));
  EXPECT_EQ(trips(daemon, flood_event), 1);
  EXPECT_EQ(trips(daemon, cheap_event), 0);
  EXPECT_THAT(daemon.log(), HasSubstr("vm: event=memory_region_ops_read is switched off until it "
                                      "is asked for again reason=\""));
  EXPECT_THAT(daemon.qemon({"status"}).out,
              AllOf(HasSubstr("memory_region_ops_read is off until it is asked for again: "),
                    HasSubstr(" records/s in all, with a budget of 2,000"),
                    HasSubstr("2000 records/s, 64")));
  EXPECT_THAT(daemon.qemon({"event", "list", flood_event}).out,
              HasSubstr("off until asked for again: "));
  EXPECT_THAT(daemon.qemon({"event", "list", cheap_event}).out, Not(HasSubstr("asked for")));

  // What is cheap is counted on, exactly.
  vm.guest().stop();
  vm.guest().read(25);
  EXPECT_TRUE(daemon.wait_counted("vm", cheap_event, 25));
  // Asked for again it is on again, and stays so while it is cheap.
  daemon.events_on({flood_event});
  EXPECT_TRUE(vm.monitor().event_enabled(flood_event));
  EXPECT_EQ(tripped(daemon), nlohmann::json::array());
  vm.guest().start_polling();
  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(flood_event); }));
  EXPECT_EQ(trips(daemon, flood_event), 2);
  vm.guest().stop();
  daemon.events_off({"*"});
  EXPECT_EQ(tripped(daemon), nlohmann::json::array());
}

TEST_P(BudgetOn, SwitchesOffTheEventsOfTheTranslatedGuest) {
  QemuOptions options;
  options.arguments = {"-d", "nochain"};
  Qemu vm(GetParam(), directory / "vm", options);
  const Qemond daemon(home(), with_budget(vm, small_budget));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().start_polling();

  daemon.events_on({"exec_tb", cheap_event});

  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled("exec_tb"); }));
  EXPECT_TRUE(vm.monitor().event_enabled(cheap_event));
  EXPECT_EQ(trips(daemon, "exec_tb"), 1);
  vm.guest().stop();
}

/// Lets the thread that empties QEMU's trace buffer run only when no other one of its threads wants
/// to, so that a burst overflows it.
void keep_writer_from_running(Qemu& vm) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
  const std::filesystem::path tasks = "/proc/" + std::to_string(vm.process().pid()) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    const auto thread = static_cast<pid_t>(std::stol(task.path().filename().string()));
    ::sched_setaffinity(thread, sizeof one, &one);
    constexpr sched_param none{};
    if (read_file((task.path() / "comm").string()) == "trace-thread\n")
      ::sched_setscheduler(thread, SCHED_IDLE, &none);
  }
}

TEST_P(BudgetOn, SwitchesOffWhatMakesQemuDropRecords) {
  Qemu vm(GetParam(), directory / "vm");
  if (!vm.has_simple_backend()) GTEST_SKIP() << "its trace drops nothing";
  const auto budget = "records=unlimited,bytes=unlimited,lag=unlimited,drops=0,grace=0s";
  const Qemond daemon(home(), with_budget(vm, budget));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  keep_writer_from_running(vm);

  // A hundred thousand records for each answer of this command.
  daemon.events_on({"visit_*", cheap_event});

  EXPECT_TRUE(wait_until([&] {
    vm.monitor().execute("query-qmp-schema");
    return !tripped(daemon).empty();
  }));
  EXPECT_THAT(tripped(daemon)[0].at("name").get<std::string>(), testing::StartsWith("visit_"));
  EXPECT_THAT(daemon.qemon({"status"}).out, HasSubstr("dropped"));
  EXPECT_TRUE(vm.monitor().event_enabled(cheap_event));
}

TEST_P(BudgetOn, MayBeUnlimited) {
  Qemu vm(GetParam(), directory / "vm");
  auto options = with_budget(vm, "records=1,drops=0,grace=0s");
  options.arguments.insert(options.arguments.end(), {"--budget", "vm=unlimited"});
  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().start_polling();
  daemon.events_on({flood_event});

  // Many times what the other budget would have allowed.
  EXPECT_TRUE(wait_until([&] {
    const auto rates = daemon.vm("vm").at("budget").at("rates");
    return !rates.is_null() && rates.at("records") > 1000;
  }));
  const auto counted = daemon.counted("vm", flood_event);
  EXPECT_TRUE(wait_until([&] { return daemon.counted("vm", flood_event) > counted + 20'000; }));

  EXPECT_TRUE(vm.monitor().event_enabled(flood_event));
  EXPECT_EQ(trips(daemon, flood_event), 0);
  EXPECT_THAT(daemon.qemon({"status"}).out, HasSubstr("budget    unlimited"));
  vm.guest().stop();
}

TEST_P(BudgetOn, NeverSwitchesOffWhatOthersSwitchedOn) {
  Qemu vm(GetParam(), directory / "vm");
  vm.monitor().set_event(flood_event, true);
  const Qemond daemon(home(), with_budget(vm, small_budget));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().start_polling();

  daemon.events_on({cheap_event});

  EXPECT_TRUE(wait_until([&] {
    return daemon.qemon({"status"}).out.find("events that others switched on exceed its budget") !=
           std::string::npos;
  }));
  EXPECT_TRUE(vm.monitor().event_enabled(flood_event));
  EXPECT_TRUE(vm.monitor().event_enabled(cheap_event));
  vm.guest().stop();
}

TEST_P(BudgetOn, KeepsAFloodOffWhenQemuIsKilledAndStartedAgain) {
  std::optional<Qemu> vm;
  vm.emplace(GetParam(), directory / "vm");
  const Qemond daemon(home(), with_budget(*vm, small_budget));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm->guest().start_polling();
  daemon.events_on({flood_event, cheap_event});
  ASSERT_TRUE(wait_until([&] { return !vm->monitor().event_enabled(flood_event); }));

  vm->process().kill();
  vm.reset();
  vm.emplace(GetParam(), directory / "vm");

  EXPECT_TRUE(wait_until([&] { return vm->monitor().event_enabled(cheap_event); }));
  EXPECT_TRUE(daemon.wait_attached("vm"));
  EXPECT_FALSE(vm->monitor().event_enabled(flood_event));
  EXPECT_EQ(tripped(daemon).size(), 1U);
  daemon.events_on({flood_event});
  EXPECT_TRUE(vm->monitor().event_enabled(flood_event));
}

TEST_P(BudgetOn, KeepsAFloodOffWhenQemondIsKilledAndStartedAgain) {
  Qemu vm(GetParam(), directory / "vm");
  auto options = with_budget(vm, small_budget);
  {
    Qemond daemon(home(), options);
    ASSERT_TRUE(daemon.wait_attached("vm"));
    vm.guest().start_polling();
    daemon.events_on({flood_event, cheap_event});
    ASSERT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(flood_event); }));
    daemon.crash();
  }

  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));

  EXPECT_FALSE(vm.monitor().event_enabled(flood_event));
  EXPECT_TRUE(vm.monitor().event_enabled(cheap_event));
  ASSERT_EQ(tripped(daemon).size(), 1U);
  EXPECT_EQ(tripped(daemon)[0].at("name"), flood_event);
  vm.guest().stop();
}

TEST_P(BudgetOn, KeepsAConfiguredPacksFloodOffOverAReload) {
  const auto packs = directory / "packs";
  std::filesystem::create_directory(packs);
  write_file(packs + "/flood.yaml",
             "version: 1\npack: flood\nhelp: Many.\nmetrics:\n  - counter: qemu_flood_total\n"
             "    help: Many.\n    events: [memory_region_ops_read]\n");
  Qemu vm(GetParam(), directory / "vm");
  auto options = with_budget(vm, small_budget);
  options.arguments.insert(options.arguments.end(), {"--pack-dir", packs, "--pack", "flood"});
  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().start_polling();
  ASSERT_TRUE(wait_until([&] { return trips(daemon, flood_event) == 1; }));
  ASSERT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(flood_event); }));

  EXPECT_EQ(daemon.qemon({"reload"}).status, ExitStatus{});
  EXPECT_TRUE(daemon.wait_attached("vm"));

  EXPECT_EQ(tripped(daemon).size(), 1U);
  EXPECT_FALSE(vm.monitor().event_enabled(flood_event));
  vm.guest().stop();
  EXPECT_EQ(daemon.qemon({"pack", "on", "flood"}).status, ExitStatus{});
  EXPECT_TRUE(vm.monitor().event_enabled(flood_event));
}

}  // namespace
}  // namespace qemon::test
