#include "daemon/config.hpp"

#include <gtest/gtest.h>

#include <iostream>
#include <sstream>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

/// What a command line comes to, and what was printed to standard error.
struct Outcome {
  ParsedCommandLine parsed;
  std::string errors;
};

Outcome parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "qemond");
  std::ostringstream errors;
  auto* const before = std::cerr.rdbuf(errors.rdbuf());
  Outcome outcome{parse_command_line(static_cast<int>(arguments.size()), arguments.data()), {}};
  std::cerr.rdbuf(before);
  outcome.errors = errors.str();
  return outcome;
}

TEST(Config, SaysHowLongLeasesLastUnlessTheyAreToldTo) {
  const auto lease_of = [](std::vector<const char*> more) {
    std::vector<const char*> arguments{"--vm", "a=unix:/a", "--runtime-dir", "/run/q"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return parse(arguments);
  };

  EXPECT_EQ(lease_of({}).parsed.config.lease.value(), LeaseLength(std::chrono::hours(1)));
  EXPECT_EQ(lease_of({"--lease", "90s"}).parsed.config.lease.value(),
            LeaseLength(std::chrono::seconds(90)));
  EXPECT_EQ(lease_of({"--lease", "forever"}).parsed.config.lease.value(), LeaseLength());
  const auto wrong = lease_of({"--lease", "long"});
  EXPECT_EQ(wrong.parsed.exit_status, 2);
  EXPECT_EQ(wrong.errors,
            "qemond: --lease long: write a duration, for instance 10m, 2h or 1d, or forever\n");
}

TEST(Config, NamesVmsAndTheirMonitors) {
  const auto outcome = parse({"--vm", "web1=unix:/run/vms/web1.qmp", "--vm",
                              "arm=tcp:127.0.0.1:4444", "--runtime-dir", "/run/q"});

  ASSERT_FALSE(outcome.parsed.exit_status) << outcome.errors;
  const auto& config = outcome.parsed.config;
  ASSERT_EQ(config.vms.size(), 2U);
  EXPECT_EQ(config.vms[0].name, "web1");
  EXPECT_EQ(qmp::to_string(config.vms[1].endpoint), "tcp:127.0.0.1:4444");
  EXPECT_EQ(config.listen, "127.0.0.1:9749");
  EXPECT_EQ(config.control_socket, "/run/q/control.sock");
}

TEST(Config, GivesACatalogToOneVmOrToTheRest) {
  const auto outcome = parse({"--vm", "a=unix:/a", "--vm", "b=unix:/b", "--trace-events", "/all",
                              "--trace-events", "b=/special", "--runtime-dir", "/run/q"});

  ASSERT_FALSE(outcome.parsed.exit_status) << outcome.errors;
  const auto& config = outcome.parsed.config;
  EXPECT_EQ(config.settings_of("a", config.vms[0].settings).catalog, "/all");
  EXPECT_EQ(config.settings_of("b", config.vms[1].settings).catalog, "/special");
}

TEST(Config, TellsEveryMistakeInALineOfItsOwn) {
  const auto outcome = parse({"--vm", "web1", "--vm", "a=unix:/a", "--vm", "a=unix:/b", "--listen",
                              "nowhere", "--trace-events", "c=/x", "--runtime-dir", "run"});

  EXPECT_EQ(outcome.parsed.exit_status, 2);
  EXPECT_EQ(
      outcome.errors,
      "qemond: --vm web1: write NAME=ADDRESS, with a name of 1 to 64 letters, digits and _-.:@+, "
      "for instance web1=unix:/run/vms/web1.qmp\n"
      "qemond: --vm a=unix:/b: the name a is given twice\n"
      "qemond: --trace-events c=/x: there is no --vm c: give it as well\n"
      "qemond: --runtime-dir run: give an absolute path, since QEMU runs elsewhere\n"
      "qemond: --listen nowhere: write ADDRESS:PORT, for instance 127.0.0.1:9749 or [::1]:9749\n");
}

TEST(Config, WantsAVm) {
  const auto outcome = parse({"--runtime-dir", "/run/q"});

  EXPECT_EQ(outcome.parsed.exit_status, 2);
  EXPECT_EQ(
      outcome.errors,
      "qemond: no VM to watch: give --vm NAME=ADDRESS, for instance --vm "
      "web1=unix:/run/vms/web1.qmp, or --discover or --config, or write /etc/qemon/qemond.yaml\n");
}

TEST(Config, TakesHumanMonitors) {
  const auto outcome = parse({"--vm", "a=hmp:unix:/a", "--runtime-dir", "/run/q"});

  ASSERT_FALSE(outcome.parsed.exit_status) << outcome.errors;
  EXPECT_EQ(outcome.parsed.config.vms[0].endpoint.protocol, qmp::Protocol::hmp);
}

TEST(Config, UnknownOptionsAreUsageErrors) {
  const auto outcome = parse({"--vms", "a=unix:/a"});

  EXPECT_EQ(outcome.parsed.exit_status, 2);
  EXPECT_NE(outcome.errors.find("--vms"), std::string::npos);
}

TEST(Config, CheckEndsWithoutRunning) {
  EXPECT_EQ(parse({"--check", "--vm", "a=unix:/a", "--runtime-dir", "/run/q"}).parsed.exit_status,
            0);
}

TEST(Config, UnderstandsSizesWithUnits) {
  const auto outcome =
      parse({"--vm", "a=unix:/a", "--runtime-dir", "/run/q", "--trace-space", "64MiB"});

  EXPECT_EQ(outcome.parsed.config.trace_space_bytes, 64U << 20);
}

TEST(Config, ReadsBudgets) {
  const auto outcome =
      parse({"--vm", "a=unix:/a", "--runtime-dir", "/run/q", "--budget", "records=100000,grace=1s",
             "--budget", "a*=unlimited", "--budget", "b*=records=7"});

  ASSERT_FALSE(outcome.parsed.exit_status) << outcome.errors;
  const auto& config = outcome.parsed.config;
  EXPECT_FALSE(budget_limits(config.settings_of("a1", {}).budget, false).any());
  EXPECT_EQ(config.settings_of("a1", {}).budget.grace, std::chrono::seconds(1));
  EXPECT_EQ(config.settings_of("b1", {}).budget.records, 7);
  EXPECT_EQ(config.settings_of("c1", {}).budget.records, 100'000);
  EXPECT_FALSE(config.settings_of("c1", {}).budget.bytes);
}

TEST(Config, ReadsVmsThatAreFiles) {
  const auto outcome = parse({"--vm", "a=file:/tmp/a.log,backend=exec-log", "--runtime-dir",
                              "/run/q", "--pack", "exec-log", "--check"});

  EXPECT_EQ(outcome.parsed.exit_status, 0) << outcome.errors;
  const auto& vm = outcome.parsed.config.vms.at(0);
  EXPECT_EQ(vm.address(), "file:/tmp/a.log,backend=exec-log");
  EXPECT_EQ(name_by_address(vm), "a");
}

TEST(Config, ReadsWhichBackendIsFollowed) {
  const auto outcome = parse({"--vm", "a=unix:/a", "--runtime-dir", "/run/q", "--backend", "usdt",
                              "--backend", "b*=syslog:/var/log/syslog"});

  ASSERT_FALSE(outcome.parsed.exit_status) << outcome.errors;
  const auto& config = outcome.parsed.config;
  EXPECT_EQ(config.settings_of("a1", {}).backend, (BackendChoice{TraceBackend::usdt, ""}));
  EXPECT_EQ(config.settings_of("b1", {}).backend,
            (BackendChoice{TraceBackend::syslog, "/var/log/syslog"}));
}

TEST(Config, TellsWhatIsWrongWithABudget) {
  const auto outcome =
      parse({"--vm", "a=unix:/a", "--runtime-dir", "/run/q", "--budget", "a=speed=1"});

  EXPECT_EQ(outcome.parsed.exit_status, 2);
  EXPECT_EQ(
      outcome.errors,
      "qemond: --budget a=speed=1: \"speed\" is unknown: there are records, bytes, drops, lag "
      "and grace, with VM= in front for some VMs\n");
}

constexpr const char* vm_option = "web1=unix:/run/vms/web1.qmp";

/// qemond --check with a pack, in `folder`, that reads this argument of an event.
Outcome check_pack_that_reads(std::string_view argument, const test::TempDir& folder) {
  const auto catalog = folder / "trace-events-all";
  test::write_file(catalog, "runstate_set(int current, int next) \"%d %d\"\n");
  test::write_file(folder / "states.yaml",
                   "version: 1\npack: states\nhelp: States.\nmetrics:\n"
                   "  - gauge: my_state\n    help: Now.\n    events: runstate_set\n    value: " +
                       std::string(argument) + "\n");
  return parse({"--vm", vm_option, "--runtime-dir", "/run/q", "--pack-dir", folder.path().c_str(),
                "--trace-events", catalog.c_str(), "--check"});
}

TEST(ConfigCheck, TellsTheMistakesOfPacksWithFileLineAndCure) {
  const test::TempDir folder;

  const auto outcome = check_pack_that_reads("nxt", folder);

  EXPECT_EQ(outcome.parsed.exit_status, 2);
  EXPECT_EQ(outcome.errors, "qemond: " + folder.path().string() +
                                "/states.yaml:8: value: event runstate_set has no argument "
                                "\"nxt\": did you mean next? It has current, next\n");
}

TEST(ConfigCheck, IsContentWithPacksThatAreRight) {
  const test::TempDir folder;

  const auto outcome = check_pack_that_reads("next", folder);

  EXPECT_EQ(outcome.parsed.exit_status, 0);
  EXPECT_EQ(outcome.errors, "");
}

TEST(ConfigCheck, RefusesPacksThatCannotBeSwitchedOn) {
  const auto outcome = parse({"--vm", vm_option, "--runtime-dir", "/run/q", "--pack", "virtio-bkl",
                              "--pack", "web*=exec-log", "--check"});

  EXPECT_EQ(outcome.parsed.exit_status, 2);
  EXPECT_EQ(outcome.errors,
            "qemond: packs: exec-log reads logs of -d exec, and no VM is such a file: use qemon "
            "replay, or --vm NAME=file:PATH\n"
            "qemond: packs: there is no pack virtio-bkl: did you mean virtio-blk?\n");
}

TEST(ConfigCheck, NeedsNoVmToCheckPacks) {
  const test::TempDir directory;
  const auto catalog = directory / "trace-events-all";
  test::write_file(catalog, "runstate_set(int current, int next) \"%d %d\"\n");
  const auto folder = directory.path().string();

  EXPECT_EQ(parse({"--pack-dir", folder.c_str(), "--trace-events", catalog.c_str(), "--runtime-dir",
                   "/run/q", "--check"})
                .parsed.exit_status,
            0);
}

TEST(ConfigCheck, RefusesAPackFolderThatIsNotThere) {
  const auto outcome = parse(
      {"--vm", vm_option, "--runtime-dir", "/run/q", "--pack-dir", "/nowhere/packs", "--check"});

  EXPECT_EQ(outcome.parsed.exit_status, 2);
  EXPECT_NE(outcome.errors.find("--pack-dir /nowhere/packs: No such file or directory"),
            std::string::npos);
}

}  // namespace
}  // namespace qemon::daemon
