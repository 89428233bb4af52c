// A VM that has only a human monitor is watched like any other.
#include <filesystem>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"
#include "tests/support/trace_witness.hpp"

namespace qemon::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* uuid = "12345678-1234-1234-1234-123456789abc";

class HumanMonitor : public OnQemu {
 protected:
  [[nodiscard]] std::string socket() const { return directory / "vm/human"; }

  /// A VM with a human monitor at socket(), with a name that looks like a prompt.
  [[nodiscard]] QemuOptions with_human_monitor() const {
    QemuOptions options;
    options.arguments = {"-monitor", "unix:" + socket() + ",server=on,wait=off",
                         "-name",    "web (qemu) 1",
                         "-uuid",    uuid};
    return options;
  }

  [[nodiscard]] QemondOptions watching_human() const {
    return watching({{"vm", "hmp:unix:" + socket()}});
  }
};
ON_EACH_QEMU(HumanMonitor);

TEST_P(HumanMonitor, TellsWhoTheVmIs) {
  Qemu vm(GetParam(), directory / "vm", with_human_monitor());
  const Qemond daemon(home(), watching_human());
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const auto seen = daemon.vm("vm");
  const auto version = vm.monitor().execute("query-version");
  const auto& numbers = version.at("qemu");
  EXPECT_EQ(seen.at("qemu_version"), std::to_string(numbers.at("major").get<int>()) + "." +
                                         std::to_string(numbers.at("minor").get<int>()) + "." +
                                         std::to_string(numbers.at("micro").get<int>()));
  EXPECT_EQ(seen.at("guest_name"), "web (qemu) 1");
  EXPECT_EQ(seen.at("uuid"), uuid);
  EXPECT_EQ(seen.at("package"), version.at("package"));
  EXPECT_EQ(seen.at("accelerator"), "tcg");
  EXPECT_EQ(seen.at("run_state"), "running");
  vm.monitor().execute("stop");
  EXPECT_TRUE(wait_until([&] { return daemon.vm("vm").at("run_state") == "paused"; }));
  vm.monitor().execute("cont");
  EXPECT_TRUE(wait_until([&] { return daemon.vm("vm").at("run_state") == "running"; }));

  const auto status = daemon.qemon({"status"});
  EXPECT_EQ(status.status, ExitStatus{}) << status.err;
  EXPECT_THAT(status.out, HasSubstr("hmp:unix:" + socket()));
}

TEST_P(HumanMonitor, CountsTheGuestsWorkExactlyAndLeavesEverythingAsFound) {
  Qemu vm(GetParam(), directory / "vm", with_human_monitor());
  vm.monitor().set_event(complete_event, true);
  Qemond daemon(home(), watching_human());
  ASSERT_TRUE(daemon.wait_attached("vm"));

  double reads = 0;
  for (unsigned cycle = 1; cycle <= 3; ++cycle) {
    daemon.events_on({"virtio_blk_handle_*"});
    EXPECT_EQ(daemon.vm("vm").at("trace").at("destination"), "file by path");
    vm.guest().read(200);
    vm.guest().write(7);
    daemon.events_off({"virtio_blk_handle_*"});
    vm.guest().read(10);
    reads += 200;
    EXPECT_TRUE(daemon.wait_counted("vm", read_event, reads));
    EXPECT_TRUE(daemon.wait_counted("vm", write_event, 7.0 * cycle));
    EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  }
  daemon.events_on({read_event});

  EXPECT_EQ(daemon.stop(), ExitStatus{});

  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
  EXPECT_EQ(vm.monitor().human("info trace-events handle_hmp_command").find("state 1"),
            std::string::npos);
  if (vm.has_simple_backend()) {
    EXPECT_THAT(vm.monitor().human("trace-file"),
                testing::AllOf(StartsWith("Trace file \"trace-"), HasSubstr("\" off.")));
  }
  EXPECT_TRUE(std::filesystem::is_empty(daemon.runtime_dir() + "/trace"));
}

TEST_P(HumanMonitor, FollowsAUsersLogInPlaceWhereverItWasLed) {
  const std::string log = directory / "later.log";
  Qemu vm(GetParam(), directory / "vm", with_human_monitor());
  if (vm.has_simple_backend()) GTEST_SKIP() << "simple traces are not in the log";
  vm.monitor().human("logfile \"" + log + "\"");
  Qemond daemon(home(), watching_human());
  ASSERT_TRUE(daemon.wait_attached("vm"));

  daemon.events_on({read_event});
  vm.guest().read(200);

  EXPECT_EQ(daemon.vm("vm").at("trace").at("destination"), "in place");
  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 200));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_EQ(count_log_lines(read_file(log), read_event), 200);
}

TEST_P(HumanMonitor, NoticesWhatOthersSwitch) {
  Qemu vm(GetParam(), directory / "vm", with_human_monitor());
  Qemond daemon(home(), watching_human());
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event, write_event});

  vm.monitor().set_event(read_event, false);
  vm.monitor().set_event(complete_event, true);

  EXPECT_TRUE(wait_until([&] { return enabled_metric(daemon, "vm", read_event) == 0; }));
  EXPECT_TRUE(wait_until([&] { return enabled_metric(daemon, "vm", complete_event) == 1; }));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_FALSE(vm.monitor().event_enabled(write_event));
  EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
}

TEST_P(HumanMonitor, SaysThatItCannotSwitchAnEvent) {
  Qemu vm(GetParam(), directory / "vm", with_human_monitor());
  const Qemond daemon(home(), watching_human());
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const auto unknown = daemon.qemon({"event", "on", "no_such_event"});

  EXPECT_NE(unknown.status, ExitStatus{});
  EXPECT_THAT(unknown.out + unknown.err, HasSubstr("no_such_event"));
  EXPECT_TRUE(daemon.wait_attached("vm"));
}

TEST_P(HumanMonitor, HeldByAnotherClientIsBusy) {
  Qemu vm(GetParam(), directory / "vm", with_human_monitor());
  auto other = connect_unix(socket());
  const Qemond daemon(home(), watching_human());

  EXPECT_TRUE(daemon.wait_for_state("vm", "busy"));
  EXPECT_THAT(daemon.vm("vm").at("reason").get<std::string>(),
              HasSubstr("another client holds this monitor"));

  other.reset();
  EXPECT_TRUE(daemon.wait_attached("vm"));
}

TEST_P(HumanMonitor, IsTakenUpAgainWhenTheVmRestarts) {
  auto vm = std::make_unique<Qemu>(GetParam(), directory / "vm", with_human_monitor());
  const Qemond daemon(home(), watching_human());
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});
  vm->guest().read(10);
  ASSERT_TRUE(daemon.wait_counted("vm", read_event, 10));

  vm.reset();
  EXPECT_TRUE(wait_until([&] { return up_metric(daemon, "vm") == 0; }));
  auto options = with_human_monitor();
  options.paused = true;
  vm = std::make_unique<Qemu>(GetParam(), directory / "vm", options);
  ASSERT_TRUE(wait_until([&] { return vm->monitor().event_enabled(read_event); }));
  vm->resume();
  vm->guest().read(5);

  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 10 + vm->block_statistic("rd_operations")));
}

TEST_P(HumanMonitor, ServesPacks) {
  Qemu vm(GetParam(), directory / "vm", with_human_monitor());
  const Qemond daemon(home(), watching_human());
  ASSERT_TRUE(daemon.wait_attached("vm"));

  ASSERT_EQ(daemon.qemon({"pack", "on", "virtio-blk"}).status, ExitStatus{});
  vm.guest().read(40);
  vm.guest().write(21);
  ASSERT_EQ(daemon.qemon({"pack", "off", "virtio-blk"}).status, ExitStatus{});

  const auto metrics = daemon.scrape();
  const auto value = [&](const char* name, const char* operation) {
    return metrics.get(series(name, {{"vm", "vm"}, {"operation", operation}}));
  };
  EXPECT_EQ(value("qemu_virtio_blk_bytes_total", "read"), 512 * 40);
  EXPECT_EQ(value("qemu_virtio_blk_bytes_total", "write"), 512 * 21);
  EXPECT_EQ(value("qemu_virtio_blk_request_duration_seconds_count", "read"), 40);
  EXPECT_EQ(value("qemu_virtio_blk_request_duration_seconds_count", "write"), 21);
  EXPECT_GT(value("qemu_virtio_blk_request_duration_seconds_sum", "read"), 0);
}

TEST_P(HumanMonitor, IsUsedOverTcpToo) {
  QemuOptions options;
  options.arguments = {"-chardev", "socket,id=tcp,host=127.0.0.1,port=0,server=on,wait=off", "-mon",
                       "chardev=tcp,mode=readline"};
  Qemu vm(GetParam(), directory / "vm", options);
  std::string address;
  for (const auto& each : vm.monitor().execute("query-chardev")) {
    // "disconnected:tcp:127.0.0.1:PORT,server=on"
    const std::string name = each.at("filename");
    if (each.at("label") == "tcp") address = name.substr(name.find("tcp:"));
  }
  address = "hmp:" + address.substr(0, address.find(','));
  const Qemond daemon(home(), watching({{"vm", address}}));
  ASSERT_TRUE(daemon.wait_attached("vm")) << address;

  daemon.events_on({read_event});
  vm.guest().read(44);

  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 44));
}

TEST_P(HumanMonitor, IsNotTakenForAQmpOneNorTheOtherWayRound) {
  Qemu vm(GetParam(), directory / "vm", with_human_monitor());
  const Qemond daemon(home(),
                      watching({{"human", "unix:" + socket()}, {"qmp", "hmp:" + vm.address()}}));

  EXPECT_TRUE(daemon.wait_for_state("human", "unreachable"));
  EXPECT_TRUE(daemon.wait_for_state("qmp", "unreachable"));
  EXPECT_THAT(daemon.vm("human").at("reason").get<std::string>(),
              HasSubstr("write hmp: in front of this address"));
  EXPECT_THAT(daemon.vm("qmp").at("reason").get<std::string>(),
              HasSubstr("this is a QMP monitor: write its address without hmp:"));
}

}  // namespace
}  // namespace qemon::test
