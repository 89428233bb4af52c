#include "daemon/config_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <sstream>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A file with that text, read as the configuration.
class ConfigFile : public testing::Test {
 protected:
  void read(const std::string& text) {
    test::write_file(path_, text);
    read_config_file(path_, config_, mistakes_);
  }
  /// The mistakes, without the file's name.
  std::vector<std::string> mistakes() const {
    std::vector<std::string> lines;
    for (const auto& line : mistakes_.lines()) lines.push_back(line.substr(path_.size() + 1));
    return lines;
  }

  test::TempDir directory_;
  std::string path_ = directory_ / "qemond.yaml";
  Config config_;
  exporters::Mistakes mistakes_{path_};
};

TEST_F(ConfigFile, NamesTheGroupsThatMayControlAndRead) {
  read("control_groups: [root, daemon]\nread_groups: [games]\n");

  EXPECT_THAT(mistakes(), IsEmpty());
  EXPECT_THAT(config_.control_groups, ElementsAre("root", "daemon"));
  EXPECT_THAT(config_.read_groups, ElementsAre("games"));
}

TEST_F(ConfigFile, RefusesGroupsThatTheHostDoesNotHave) {
  read("control_groups:\n  - root\n  - no-such-group-here\nread_groups: [nor-this-one]\n");

  EXPECT_THAT(mistakes(), ElementsAre("3: control_groups: there is no group \"no-such-group-here\" "
                                      "on this host: make it, or name another",
                                      "4: read_groups: there is no group \"nor-this-one\" on this "
                                      "host: make it, or name another"));
}

TEST_F(ConfigFile, SetsHowOftenAndHowLongEachIsAsked) {
  read(R"(vms:
  - {name: web1, address: "unix:/run/vms/web1.qmp", poll_interval: 3s}
settings:
  - match: "*"
    poll_interval: 500ms
    collectors: {block: 30s/2s, jit: on/1s}
)");

  EXPECT_THAT(mistakes(), IsEmpty());
  const auto settings = config_.settings_of("web1", config_.vms.at(0).settings);
  EXPECT_EQ(settings.poll_interval, std::chrono::seconds(3));
  EXPECT_EQ(config_.settings_of("db1", {}).poll_interval, std::chrono::milliseconds(500));
  EXPECT_EQ(settings.collectors.at("block").interval, std::chrono::seconds(30));
  EXPECT_EQ(settings.collectors.at("block").deadline, std::chrono::seconds(2));
  EXPECT_EQ(settings.collectors.at("jit").on, true);
  EXPECT_EQ(settings.collectors.at("jit").deadline, std::chrono::seconds(1));
}

TEST_F(ConfigFile, RefusesIntervalsThatNobodyCanMean) {
  read("settings:\n  - match: x\n    poll_interval: 1ms\n    collectors: {block: 10s/0s}\n");

  EXPECT_THAT(mistakes(),
              ElementsAre("3: poll_interval: write how often, from 100ms to 24h, for instance 5s",
                          "4: collectors: block: write on, off or how often, for instance 30s, or "
                          "30s/2s with a deadline; from 100ms to 24h"));
}

TEST_F(ConfigFile, TellsEverythingThatTheCommandLineCan) {
  read(R"(listen: 127.0.0.1:9750
control_socket: /run/q/control
runtime_dir: /run/q
pack_dirs: [/etc/qemon/packs]
trace_space: 64MiB
lease: 2h
trace_events: /usr/share/qemu/trace-events-all
log_level: debug
vms:
  - {name: web1, address: "unix:/run/vms/web1.qmp", packs: [irq], trace_events: /special}
  - address: tcp:127.0.0.1:4444
discover:
  - sockets: /run/vms/*.qmp
  - {sockets: /run/vms/*.hmp, protocol: hmp}
settings:
  - {match: "web*", packs: [virtio-blk], budget: {records: 70000, bytes: 1MiB, grace: 10s}}
  - {match: "db*", budget: unlimited, backend: ftrace}
)");

  EXPECT_THAT(mistakes(), IsEmpty());
  EXPECT_EQ(config_.listen, "127.0.0.1:9750");
  EXPECT_EQ(config_.control_socket, "/run/q/control");
  EXPECT_EQ(config_.runtime_directory, "/run/q");
  EXPECT_THAT(config_.pack_folders, ElementsAre("/etc/qemon/packs"));
  EXPECT_EQ(config_.trace_space_bytes, 64U << 20);
  EXPECT_EQ(config_.lease.value(), LeaseLength(std::chrono::hours(2)));
  EXPECT_EQ(config_.log_level, "debug");
  ASSERT_EQ(config_.vms.size(), 2U);
  EXPECT_EQ(config_.vms[1].name, "");
  ASSERT_EQ(config_.discovery.size(), 2U);
  EXPECT_EQ(config_.discovery[1].protocol, qmp::Protocol::hmp);
  const auto web1 = config_.settings_of("web1", config_.vms[0].settings);
  EXPECT_THAT(web1.packs, ElementsAre("irq", "virtio-blk"));
  EXPECT_EQ(web1.catalog, "/special");
  EXPECT_EQ(web1.budget.records, 70'000);
  EXPECT_EQ(web1.budget.bytes, 1 << 20);
  EXPECT_EQ(web1.budget.grace, std::chrono::seconds(10));
  EXPECT_FALSE(web1.backend);
  EXPECT_EQ(config_.settings_of("db1", {}).backend, (BackendChoice{TraceBackend::ftrace, ""}));
  EXPECT_FALSE(budget_limits(config_.settings_of("db1", {}).budget, true).any());
  EXPECT_EQ(config_.settings_of("db1", {}).catalog, "/usr/share/qemu/trace-events-all");
  EXPECT_THAT(config_.settings_of("db1", {}).packs, IsEmpty());
}

TEST_F(ConfigFile, NamesEveryMistakeWithItsLine) {
  read(R"(listn: 127.0.0.1:9750
trace_space: much
log_level: loud
vms:
  - {name: "-x", address: "unix:/a"}
  - {name: web1}
  - {name: web1, address: nowhere}
  - {address: "unix:/a"}
discover:
  - sockets: "*.qmp"
settings:
  - packs: [Nope]
)");

  EXPECT_THAT(mistakes(), ElementsAre("1: listn: there is no such key here: did you mean listen?"));
}

TEST_F(ConfigFile, NamesTheMistakesOfItsParts) {
  read(R"(trace_space: much
log_level: loud
vms:
  - {name: "-x", address: "unix:/a"}
  - {name: web1}
  - {name: web2, address: "unix:/a"}
discover:
  - sockets: "*.qmp"
settings:
  - packs: [Nope]
  - match: "*"
    collectors: {block: sometimes}
)");

  const auto lines = mistakes();
  ASSERT_EQ(lines.size(), 9U) << testing::PrintToString(lines);
  EXPECT_EQ(lines[0], "2: log_level: write error, warn, info or debug");
  EXPECT_EQ(lines[1], "1: trace_space: write a size, for instance 64MiB or 1GiB");
  EXPECT_EQ(lines[2],
            "4: name: \"-x\": use 1 to 64 letters, digits and _-.:@+, and no - or . in front");
  EXPECT_EQ(lines[3], "5: vms: the address is missing, for instance unix:/run/vms/web1.qmp");
  EXPECT_EQ(lines[4], "6: address: is that of another VM as well: each has a monitor of its own");
  EXPECT_EQ(lines[5],
            "8: sockets: write an absolute path with * or ?, for instance /run/vms/*.qmp");
  EXPECT_EQ(lines[6], "10: match: is missing: write a pattern of VM names, for instance \"web*\"");
  EXPECT_EQ(lines[7], "10: packs: \"Nope\" is no pack's name: see qemon pack list");
  EXPECT_EQ(lines[8].substr(0, 15), "12: collectors:");
}

TEST_F(ConfigFile, MayHoldNothingButComments) {
  read("# nothing yet\n");

  EXPECT_THAT(config_.vms, IsEmpty());
}

TEST_F(ConfigFile, ThatIsNotThereIsAMistake) {
  read_config_file(path_, config_, mistakes_);

  EXPECT_THAT(
      mistakes(),
      ElementsAre(
          " cannot be read: No such file or directory: name a configuration file with --config"));
}

TEST(ParseSize, UnderstandsUnits) {
  EXPECT_EQ(parse_size("1000"), 1000U);
  EXPECT_EQ(parse_size("64MiB"), 64U << 20);
  EXPECT_EQ(parse_size("1g"), 1U << 30);
  EXPECT_EQ(parse_size("2TB"), std::uint64_t{2} << 40);
  EXPECT_EQ(parse_size("0"), std::nullopt);
  EXPECT_EQ(parse_size("1 elephant"), std::nullopt);
  EXPECT_EQ(parse_size("99999999999TiB"), std::nullopt);
}

TEST(ParseCollectorSettings, UnderstandsOnOffAndIntervals) {
  EXPECT_EQ(parse_collector_settings("on")->on, true);
  EXPECT_EQ(parse_collector_settings("off")->on, false);
  EXPECT_EQ(parse_collector_settings("30s")->interval, std::chrono::seconds(30));
  EXPECT_EQ(parse_collector_settings("sometimes"), std::nullopt);
}

std::string name_by(const std::string& address) {
  VmConfig config;
  EXPECT_TRUE(set_address(address, config)) << address;
  return name_by_address(config);
}

TEST(NameByAddress, IsAVmsNameWhateverTheAddress) {
  for (const std::string host : {"a/../../b", "?", ".-", "\xff", "a\"b"}) {
    const auto name = name_by("tcp:" + host + ":4444");
    EXPECT_TRUE(is_valid_vm_name(name)) << name;
  }
  const std::string long_host(200, 'h');
  EXPECT_EQ(name_by("tcp:" + long_host + ":4444"), long_host.substr(0, 64));
}

TEST(NameByAddress, IsThatOfTheSocketOrTheAddress) {
  EXPECT_EQ(name_by("unix:/run/vms/web1.qmp"), "web1");
  EXPECT_EQ(name_by("unix:/run/vms/my vm.sock"), "my_vm");
  EXPECT_EQ(name_by("tcp:127.0.0.1:4444"), "127.0.0.1:4444");
  EXPECT_EQ(name_by("file:/tmp/my program.log,pid=7"), "my_program");
}

TEST_F(ConfigFile, TellsWhichGrafanaIsToldWhat) {
  read(R"(grafana:
  url: https://grafana.example/below
  token_file: /etc/qemon/grafana.token
  ca_file: /etc/ssl/lab.pem
  dashboard: abc-123
  tags: [lab, rack 7]
  annotate: [marks, qmp]
)");

  EXPECT_THAT(mistakes(), IsEmpty());
  GrafanaSettings expected;
  expected.url = "https://grafana.example/below";
  expected.token_file = "/etc/qemon/grafana.token";
  expected.ca_file = "/etc/ssl/lab.pem";
  expected.dashboard = "abc-123";
  expected.tags = {"lab", "rack 7"};
  expected.topics = {{"marks", "qmp"}};
  EXPECT_EQ(config_.grafana, expected);
}

TEST_F(ConfigFile, RefusesAGrafanaThatThereCannotBe) {
  read("grafana:\n  url: grafana:3000\n  annotate: []\n  tags: [\"a\\nb\"]\n");
  EXPECT_THAT(mistakes(), ElementsAre("3: annotate: write some of events, budget, qmp, marks, "
                                      "experiments",
                                      testing::StartsWith("2: url: \"grafana:3000\" is no address"),
                                      testing::StartsWith("4: tags: ")));
}

}  // namespace
}  // namespace qemon::daemon
