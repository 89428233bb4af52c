// Which VMs are watched: by configuration, by discovery and by command.
#include <signal.h>
#include <csignal>

#include <filesystem>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using testing::HasSubstr;

class Fleet : public OnQemu {
 protected:
  /// A qemond that is told nothing but this configuration.
  QemondOptions with_config(const std::string& text) const {
    write_file(config(), text);
    QemondOptions options;
    options.arguments = {"--config", config()};
    if (!GetParam().catalog.empty())
      options.arguments.insert(options.arguments.end(), {"--trace-events", GetParam().catalog});
    return options;
  }
  std::string config() const { return directory / "qemond.yaml"; }

  static bool watches(const Qemond& daemon, const std::string& name) {
    const auto status = daemon.status();
    for (const auto& vm : status.at("vms"))
      if (vm.at("name") == name) return true;
    return false;
  }
};
ON_EACH_QEMU(Fleet);

TEST_P(Fleet, FindsVmsBySocketAndCallsThemByTheirOwnNames) {
  const Qemond daemon(home(), with_config("discover: [{sockets: \"" + home() + "/*/qmp\"}]\n"));
  EXPECT_TRUE(daemon.status().at("vms").empty());

  QemuOptions options;
  options.arguments = {"-name", "guest=alice"};
  auto vm = std::make_unique<Qemu>(GetParam(), directory / "vm", options);

  EXPECT_TRUE(wait_until([&] { return watches(daemon, "alice"); }));
  EXPECT_TRUE(daemon.wait_attached("alice"));
  EXPECT_EQ(up_metric(daemon, "alice"), 1);
  const auto socket = vm->socket();
  vm.reset();
  std::filesystem::remove(socket);
  EXPECT_TRUE(wait_until([&] { return daemon.status().at("vms").empty(); }));
  EXPECT_EQ(up_metric(daemon, "alice"), -1);
}

TEST_P(Fleet, SwitchesTheConfiguredPacksOn) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(),
                      with_config("vms: [{name: web1, address: \"" + vm.address() +
                                  "\"}]\nsettings: [{match: \"web*\", packs: [virtio-blk]}]\n"));
  ASSERT_TRUE(daemon.wait_attached("web1"));
  ASSERT_TRUE(wait_until([&] { return vm.monitor().event_enabled("virtio_blk_req_complete"); }));

  vm.guest().read(7);

  const auto reads =
      series("qemu_virtio_blk_requests_total", {{"vm", "web1"}, {"operation", "read"}});
  EXPECT_TRUE(wait_until([&] { return daemon.scrape().get(reads) == 7; }));
}

TEST_P(Fleet, KeepsVmsAndTheirCountersOverAReloadThatDoesNotChangeThem) {
  Qemu vm(GetParam(), directory / "vm");
  const auto one =
      "vms:\n  - {name: web1, address: \"" + vm.address() + "\", packs: [virtio-blk]}\n";
  Qemond daemon(home(), with_config(one));
  ASSERT_TRUE(daemon.wait_attached("web1"));
  ASSERT_TRUE(wait_until([&] { return vm.monitor().event_enabled("virtio_blk_req_complete"); }));
  vm.guest().read(5);

  write_file(config(), one + "  - {name: web2, address: \"unix:" + home() + "/nowhere\"}\n");
  daemon.process().signal(SIGHUP);
  ASSERT_TRUE(wait_until([&] { return watches(daemon, "web2"); }));
  vm.guest().read(4);
  const auto reads =
      series("qemu_virtio_blk_requests_total", {{"vm", "web1"}, {"operation", "read"}});
  EXPECT_TRUE(wait_until([&] { return daemon.scrape().get(reads) == 9; }));
  EXPECT_EQ(daemon.scrape().get(series("qemond_monitor_reconnects_total", {{"vm", "web1"}})), 0);

  write_file(config(), "vms:\n  - {name: web2, address: \"unix:" + home() + "/nowhere\"}\n");
  EXPECT_EQ(daemon.qemon({"reload"}).status, ExitStatus{});
  EXPECT_FALSE(watches(daemon, "web1"));
  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled("virtio_blk_req_complete"); }));
}

TEST_P(Fleet, StaysAsItWasWhenTheConfigurationHasMistakes) {
  Qemu vm(GetParam(), directory / "vm");
  const auto one = "vms: [{name: web1, address: \"" + vm.address() + "\"}]\n";
  const Qemond daemon(home(), with_config(one));
  ASSERT_TRUE(daemon.wait_attached("web1"));

  write_file(config(), one + "lisden: 127.0.0.1:1\n");
  const auto reloaded = daemon.qemon({"reload"});

  EXPECT_EQ(reloaded.status, (ExitStatus{1, 0}));
  EXPECT_THAT(reloaded.err,
              HasSubstr("qemond.yaml:2: lisden: there is no such key here: did you mean listen?"));
  EXPECT_EQ(daemon.vm_state("web1"), "attached");
}

TEST_P(Fleet, RefusesAReloadWithAPackThatThereIsNot) {
  Qemu vm(GetParam(), directory / "vm");
  const auto one = "vms: [{name: web1, address: \"" + vm.address() + "\"}]\n";
  const Qemond daemon(home(), with_config(one));
  ASSERT_TRUE(daemon.wait_attached("web1"));

  write_file(config(), one + "settings: [{match: \"*\", packs: [virtio-bkl]}]\n");
  const auto reloaded = daemon.qemon({"reload"});

  EXPECT_EQ(reloaded.status, (ExitStatus{1, 0}));
  EXPECT_THAT(reloaded.err,
              HasSubstr("packs: there is no pack virtio-bkl: did you mean virtio-blk?"));
}

TEST_P(Fleet, UsesAnotherCatalogFromTheReloadOn) {
  Qemu vm(GetParam(), directory / "vm");
  const auto wrong = directory / "trace-events-of-another-build";
  write_file(wrong, "virtio_blk_handle_read(int one) \"%d\"\n");
  const auto web1 = "vms: [{name: web1, address: \"" + vm.address() + "\"";
  const Qemond daemon(home(), with_config(web1 + ", trace_events: \"" + wrong + "\"}]\n"));
  ASSERT_TRUE(daemon.wait_attached("web1"));
  ASSERT_THAT(daemon.vm("web1").at("degraded").dump(), HasSubstr(wrong));

  write_file(config(), web1 + "}]\n");
  ASSERT_EQ(daemon.qemon({"reload"}).status, ExitStatus{});
  ASSERT_EQ(daemon.qemon({"pack", "on", "virtio-blk"}).status, ExitStatus{});
  vm.guest().read(4);

  EXPECT_THAT(daemon.vm("web1").at("degraded").dump(), testing::Not(HasSubstr(wrong)));
  const auto bytes = series("qemu_virtio_blk_bytes_total", {{"vm", "web1"}, {"operation", "read"}});
  EXPECT_TRUE(wait_until([&] { return daemon.scrape().get(bytes) == 4 * 512; }));
}

TEST_P(Fleet, AttachesAndDetachesByCommand) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), with_config("# nothing\n"));

  const auto attached = daemon.qemon({"vm", "attach", "bob", vm.address()});
  ASSERT_TRUE(daemon.wait_attached("bob"));
  const auto again = daemon.qemon({"vm", "attach", "bob2", vm.address()});
  daemon.events_on({"virtio_blk_handle_read"}, "bob");
  vm.guest().read(3);
  EXPECT_TRUE(daemon.wait_counted("bob", "virtio_blk_handle_read", 3));
  const auto detached = daemon.qemon({"vm", "detach", "bob"});

  EXPECT_EQ(attached.status, ExitStatus{}) << attached.err;
  EXPECT_EQ(again.err,
            "qemon: " + vm.address() + " is watched already, as bob: detach that first\n");
  EXPECT_EQ(detached.status, ExitStatus{}) << detached.err;
  EXPECT_FALSE(watches(daemon, "bob"));
  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled("virtio_blk_handle_read"); }));
  EXPECT_EQ(daemon.qemon({"vm", "attach", "bob", vm.address()}).status, ExitStatus{});
  EXPECT_TRUE(daemon.wait_attached("bob"));
}

TEST_P(Fleet, PutsBackWhenItIsAttachedAgainWhatItCouldNotWhenItWasDetached) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), with_config("# nothing\n"));
  ASSERT_EQ(daemon.qemon({"vm", "attach", "bob", vm.address()}).status, ExitStatus{});
  ASSERT_TRUE(daemon.wait_attached("bob"));
  daemon.events_on({"virtio_blk_handle_read"}, "bob");
  // It holds on to its VMs.
  ASSERT_EQ(daemon.qemon({"experiment", "start", "run", "--vm", "bob"}).status, ExitStatus{});

  vm.process().signal(SIGSTOP);
  ASSERT_EQ(daemon.qemon({"vm", "detach", "bob"}).status, ExitStatus{});
  ASSERT_TRUE(
      wait_until([&] { return daemon.log().find("left on, because") != std::string::npos; }));
  vm.process().signal(SIGCONT);
  // QEMU may still do what it was told before the connection ended, or not.
  vm.monitor().set_event("virtio_blk_handle_read", true);
  ASSERT_EQ(daemon.qemon({"vm", "attach", "bob", vm.address()}).status, ExitStatus{});

  ASSERT_TRUE(daemon.wait_attached("bob"));
  EXPECT_FALSE(vm.monitor().event_enabled("virtio_blk_handle_read"));
  EXPECT_EQ(daemon.vm("bob").at("leases"), 0);
}

}  // namespace
}  // namespace qemon::test
