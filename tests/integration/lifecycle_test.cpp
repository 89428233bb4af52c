// VMs come later, restart, hang, go away, and lend their monitor to others.
#include <signal.h>

#include "tests/integration/fixture.hpp"

namespace qemon::test {
namespace {

class Lifecycle : public OnQemu {
 protected:
  /// The address of a VM that is started, or started again, in `directory / name`.
  [[nodiscard]] std::string address_of(std::string_view name) const {
    return "unix:" + (directory / name) + "/qmp";
  }
};
ON_EACH_QEMU(Lifecycle);

TEST_P(Lifecycle, AttachesToAVmThatComesLater) {
  const Qemond daemon(home(), watching({{"vm", address_of("vm")}}));
  EXPECT_TRUE(daemon.wait_for_state("vm", "unreachable"));
  EXPECT_EQ(up_metric(daemon, "vm"), 0);
  EXPECT_THAT(daemon.vm("vm").at("reason").get<std::string>(), testing::HasSubstr("qmp"));

  Qemu vm(GetParam(), directory / "vm");

  ASSERT_TRUE(daemon.wait_attached("vm"));
  EXPECT_EQ(up_metric(daemon, "vm"), 1);
  daemon.events_on({read_event});
  vm.guest().read(3);
  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 3));
}

TEST_P(Lifecycle, GoesOnCountingWhenAVmRestarts) {
  auto vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching({{"vm", address_of("vm")}}));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});
  vm->guest().read(10);
  ASSERT_TRUE(daemon.wait_counted("vm", read_event, 10));

  double counted = 10;
  for (const unsigned reads : {5U, 8U}) {
    vm.reset();
    EXPECT_TRUE(wait_until([&] { return up_metric(daemon, "vm") == 0; }));
    EXPECT_EQ(daemon.counted("vm", read_event), counted);
    QemuOptions paused;
    paused.paused = true;
    vm = std::make_unique<Qemu>(GetParam(), directory / "vm", paused);
    // The lease outlives the process that it was taken on: all reads of the new one are counted,
    // the BIOS's too.
    ASSERT_TRUE(wait_until([&] { return vm->monitor().event_enabled(read_event); }));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    EXPECT_EQ(up_metric(daemon, "vm"), 1);
    vm->resume();
    vm->guest().read(reads);
    counted += vm->block_statistic("rd_operations");
    ASSERT_TRUE(daemon.wait_counted("vm", read_event, counted));
  }
}

TEST_P(Lifecycle, SaysThatAVmIsGoneWhenItQuits) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});
  vm.guest().read(4);

  vm.monitor().execute("quit");

  EXPECT_TRUE(daemon.wait_for_state("vm", "unreachable"));
  EXPECT_EQ(up_metric(daemon, "vm"), 0);
  // What it had written before is not lost.
  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 4));
}

TEST_P(Lifecycle, OfAStoppedVmDelaysNobodyElse) {
  Qemu stopped(GetParam(), directory / "stopped");
  Qemu other(GetParam(), directory / "other");
  const Qemond daemon(home(),
                      watching({{"stopped", stopped.address()}, {"other", other.address()}}));
  ASSERT_TRUE(daemon.wait_attached("stopped"));
  ASSERT_TRUE(daemon.wait_attached("other"));
  daemon.events_on({read_event});

  stopped.process().signal(SIGSTOP);
  for (unsigned cycle = 1; cycle <= 3; ++cycle) {
    other.guest().read(10);
    EXPECT_TRUE(daemon.wait_counted("other", read_event, 10 * cycle));
    daemon.events_off({read_event}, "other");
    daemon.events_on({read_event}, "other");
  }
  // A main loop that does not answer is down sooner or later, without any request of ours.
  EXPECT_TRUE(wait_until([&] { return up_metric(daemon, "stopped") == 0; }));
  EXPECT_EQ(up_metric(daemon, "other"), 1);

  stopped.process().signal(SIGCONT);
  EXPECT_TRUE(wait_until([&] { return up_metric(daemon, "stopped") == 1; }));
  const double before = daemon.counted("stopped", read_event);
  stopped.guest().read(7);
  EXPECT_TRUE(daemon.wait_counted("stopped", read_event, before + 7));
}

TEST_P(Lifecycle, EndsInTimeAlthoughAVmHangs) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});

  vm.process().signal(SIGSTOP);

  EXPECT_EQ(daemon.stop(), ExitStatus{});
  vm.process().signal(SIGCONT);
}

TEST_P(Lifecycle, LendsTheMonitorAndTracesMeanwhile) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});

  const Finished released = daemon.qemon({"vm", "release", "vm", "--for", "10m"});
  ASSERT_EQ(released.status, ExitStatus{}) << released.err;
  {
    Monitor borrowed(vm.socket());
    EXPECT_TRUE(borrowed.execute("query-status").contains("running"));
    EXPECT_EQ(daemon.vm_state("vm"), "released");
    EXPECT_FALSE(daemon.vm("vm").at("released_for_seconds").is_null());
    vm.guest().read(12);
    vm.monitor().execute("query-status");
    if (vm.has_simple_backend()) vm.monitor().human("trace-file flush");
    EXPECT_TRUE(daemon.wait_counted("vm", read_event, 12));
    EXPECT_TRUE(vm.monitor().event_enabled(read_event));
  }
  const Finished over = daemon.qemon({"vm", "release", "vm", "--for", "1ms"});
  ASSERT_EQ(over.status, ExitStatus{}) << over.err;

  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().read(1);
  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 13));
}

TEST_P(Lifecycle, SaysThatAnotherClientHoldsTheMonitor) {
  Qemu vm(GetParam(), directory / "vm");
  auto other = std::make_unique<Monitor>(vm.socket());
  const Qemond daemon(home(), watching(vm));

  EXPECT_TRUE(daemon.wait_for_state("vm", "busy"));
  EXPECT_THAT(daemon.vm("vm").at("reason").get<std::string>(),
              testing::HasSubstr("another client holds this monitor"));
  EXPECT_EQ(up_metric(daemon, "vm"), 0);

  other.reset();
  EXPECT_TRUE(daemon.wait_attached("vm"));
}

TEST_P(Lifecycle, AttachesOverTcpToo) {
  QemuOptions options;
  options.arguments = {"-chardev", "socket,id=tcp,host=127.0.0.1,port=0,server=on,wait=off", "-mon",
                       "chardev=tcp,mode=control"};
  Qemu vm(GetParam(), directory / "vm", options);
  std::string address;
  for (const auto& each : vm.monitor().execute("query-chardev")) {
    // "disconnected:tcp:127.0.0.1:PORT,server=on"
    const std::string name = each.at("filename");
    if (each.at("label") == "tcp") address = name.substr(name.find("tcp:"));
  }
  address = address.substr(0, address.find(','));
  const Qemond daemon(home(), watching({{"vm", address}}));
  ASSERT_TRUE(daemon.wait_attached("vm")) << address;

  daemon.events_on({read_event});
  vm.guest().read(44);

  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 44));
}

TEST_P(Lifecycle, OfTwoVmsAreApart) {
  Qemu one(GetParam(), directory / "one");
  Qemu two(GetParam(), directory / "two");
  const Qemond daemon(home(), watching({{"one", one.address()}, {"two", two.address()}}));
  ASSERT_TRUE(daemon.wait_attached("one"));
  ASSERT_TRUE(daemon.wait_attached("two"));

  daemon.events_on({read_event}, "two");
  one.guest().read(9);
  two.guest().read(5);
  EXPECT_TRUE(daemon.wait_counted("two", read_event, 5));
  EXPECT_FALSE(one.monitor().event_enabled(read_event));
  daemon.events_on({read_event});
  one.guest().read(2);
  two.guest().read(1);

  EXPECT_TRUE(daemon.wait_counted("one", read_event, 2));
  EXPECT_TRUE(daemon.wait_counted("two", read_event, 6));
}

}  // namespace
}  // namespace qemon::test
