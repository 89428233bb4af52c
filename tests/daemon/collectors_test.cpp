#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "daemon/collector.hpp"
#include "daemon/collector_runner.hpp"
#include "daemon/latency_histograms.hpp"
#include "tests/daemon/figures.hpp"
#include "tests/qmp/client_fixture.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using qmp::test::answering;
using qmp::test::Answers;
using qmp::test::Peer;
using test::expect_sound;
using test::samples_of;
using testing::HasSubstr;
using testing::Not;

class CollectorsTest : public qmp::test::ClientTest {
 protected:
  CollectorsTest() : collectors(make_collectors()) {
    commands = {"query-blockstats",
                "query-jobs",
                "query-block-jobs",
                "query-migrate",
                "query-replay",
                "query-stats",
                "query-cpus-fast",
                "query-stats-schemas",
                "query-balloon",
                "x-query-irq",
                "query-iothreads",
                "query-dirty-rate",
                "x-query-jit",
                "query-memory-size-summary",
                "block-latency-histogram-set",
                "human-monitor-command"};
    if (auto own = inspect_process(::getpid())) process = std::move(*own);
  }

  Collector& collector(std::string_view name) {
    const auto found = std::find_if(collectors.begin(), collectors.end(),
                                    [&](const Collector& one) { return one.name == name; });
    if (found == collectors.end()) throw std::runtime_error("no such collector");
    return *found;
  }

  CollectorView view() {
    return CollectorView{client.get(), identity, process, plugin_path, commands,
                         session,      deadline, changed, journal};
  }

  Result<Figures> poll(std::string_view name) {
    return qemon::test::run(context, collector(name).poll(view()));
  }

  std::string samples(std::string_view name) {
    const auto figures = poll(name);
    if (!figures) return "error: " + figures.error().detail;
    expect_sound(*figures);
    return samples_of(*figures);
  }

  std::vector<Collector> collectors;
  qmp::Identity identity;
  std::optional<ProcessInfo> process;
  std::string plugin_path;
  std::set<std::string> commands;
  std::uint64_t session = 1;
  JournaledCollecting changed;
  std::vector<JournaledCollecting> journaled;  ///< Each time that it was written.
  std::function<Result<void>()> journal = [this] {
    journaled.push_back(changed);
    return Result<void>();
  };
  std::chrono::milliseconds deadline = qemon::test::default_deadline;
};

TEST_F(CollectorsTest, HaveNamesOfTheirOwnAndAnInterval) {
  std::set<std::string> names;
  for (const Collector& one : collectors) {
    EXPECT_TRUE(names.insert(one.name).second) << one.name;
    EXPECT_GE(one.interval, std::chrono::seconds(2)) << one.name;
    EXPECT_TRUE(one.poll) << one.name;
    // What changes something in QEMU is not done unasked, and can be undone.
    EXPECT_EQ(one.on_by_default, !one.finish) << one.name;
  }
  EXPECT_EQ(names.size(), 13U);
}

TEST_F(CollectorsTest, AQemuThatRefusesEverythingGivesNoFiguresAndNoError) {
  Answers answers;
  answers.command = [](const json&) { return json{{"error", "not here"}}; };
  answers.human = [](const std::string&) { return json{{"error", "not here"}}; };
  start(answering(answers));

  for (const Collector& one : collectors) {
    if (one.name == "process") continue;
    EXPECT_EQ(samples(one.name), "") << one.name;
  }
}

TEST_F(CollectorsTest, AnAnswerThatMakesNoSenseGivesNoFiguresAndNoError) {
  for (const json& nonsense : {json("text"), json(5), json::array({1, nullptr}), json::object()}) {
    Answers answers;
    answers.command = [nonsense](const json&) { return nonsense; };
    answers.human = [](const std::string&) { return json("\xc3\xa4 unknown command\r\n"); };
    start(answering(answers));
    ++session;

    for (const Collector& one : collectors) {
      if (one.name == "process" || one.name == "jobs") continue;
      EXPECT_EQ(samples(one.name), "") << one.name << nonsense;
    }
  }
}

TEST_F(CollectorsTest, ASessionThatEndsIsAnError) {
  start([](Peer& peer) {
    peer.handshake();
    peer.read();
    peer.hang_up();
  });

  for (const Collector& one : collectors) {
    // These ask no monitor.
    if (one.name == "process" || one.name == "tcg-plugin") continue;
    EXPECT_FALSE(poll(one.name)) << one.name;
  }
}

TEST_F(CollectorsTest, BlockAsksForBackendsOnly) {
  Answers answers;
  answers.command = [](const json& command) {
    EXPECT_EQ(command.at("execute"), "query-blockstats");
    EXPECT_FALSE(command.contains("arguments"));
    return json::parse(R"([{"device": "d", "stats": {"rd_operations": 3}}])");
  };
  start(answering(answers));

  EXPECT_EQ(samples("block"),
            "qemu_blockdev_operations_total{device=\"d\",operation=\"read\"} 3\n");
}

TEST_F(CollectorsTest, IrqAndJitAskTheHumanMonitorWhereTheQueryIsMissing) {
  commands.erase("x-query-irq");
  commands.erase("x-query-jit");
  Answers answers;
  answers.human = [](const std::string& line) -> json {
    if (line == "info irq") return "IRQ statistics for pic:\r\n 1: 2\r\n";
    if (line == "info jit") return "TB count 5\r\n";
    return nullptr;
  };
  start(answering(answers));

  EXPECT_EQ(samples("irq"), "qemu_irq_statistics_total{controller=\"pic\",line=\"1\"} 2\n");
  EXPECT_EQ(samples("jit"), "qemu_jit_blocks 5\n");
}

TEST_F(CollectorsTest, KvmStatsReadsTheSchemasOnceASession) {
  std::atomic<int> schemas = 0;
  Answers answers;
  answers.command = [&schemas](const json& command) -> json {
    if (command.at("execute") == "query-stats-schemas") {
      ++schemas;
      return json::parse(R"([{"provider": "kvm", "target": "vm", "stats": [
          {"name": "x", "type": "cumulative", "exponent": 0}]}])");
    }
    if (command.at("execute") == "query-cpus-fast") return json::array();
    if (command.at("arguments").at("target") != "vm") return json::array();
    return json::parse(R"([{"provider": "kvm", "stats": [{"name": "x", "value": 4}]}])");
  };
  start(answering(answers));

  EXPECT_EQ(samples("kvm-stats"), "qemu_kvm_x_total 4\n");
  EXPECT_EQ(samples("kvm-stats"), "qemu_kvm_x_total 4\n");
  EXPECT_EQ(schemas, 1);
  session = 2;
  EXPECT_EQ(samples("kvm-stats"), "qemu_kvm_x_total 4\n");
  EXPECT_EQ(schemas, 2);
}

TEST_F(CollectorsTest, ThreadsShowsOnlyThreadsOfTheProcess) {
  Answers answers;
  answers.command = [](const json& command) -> json {
    if (command.at("execute") == "query-iothreads")
      return json::array({{{"id", "foreign"}, {"thread-id", 1}}});
    return json::array({{{"cpu-index", 0}, {"thread-id", ::getpid()}}});
  };
  start(answering(answers));

  const std::string all = samples("threads");

  EXPECT_THAT(all, HasSubstr("qemu_vcpu_cpu_seconds_total{vcpu=\"0\"}"));
  EXPECT_THAT(all, HasSubstr("qemu_vcpu_thread_state{vcpu=\"0\",state=\"stopped\"} 0\n"));
  EXPECT_THAT(all, Not(HasSubstr("foreign")));
}

TEST_F(CollectorsTest, ProcessShowsTheProcessAndNotOneThatHasItsNumberNow) {
  start([](Peer& peer) {
    peer.handshake();
    peer.wait_for_client_to_leave();
  });

  const std::string own = samples("process");
  process->start_ticks += 1;
  const auto later = poll("process");

  EXPECT_THAT(own, HasSubstr("qemu_process_cpu_seconds_total "));
  EXPECT_THAT(own, HasSubstr("qemu_process_resident_memory_bytes "));
  EXPECT_THAT(own, HasSubstr("qemu_process_open_fds "));
  EXPECT_THAT(own, HasSubstr("qemu_process_start_time_seconds "));
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().detail, "QEMU's process is gone");
}

/// A QEMU with one disk, whose histogram can be set under one id.
struct FakeDisk {
  std::string id;
  std::vector<std::string> asked;  ///< By the monitor's thread; read when it is idle.
  bool has_histogram = false;

  json operator()(const json& command) {
    if (command.at("execute") == "block-latency-histogram-set") {
      const json& arguments = command.at("arguments");
      asked.push_back(arguments.at("id"));
      if (arguments.at("id") != id) return json{{"error", "no such device"}};
      has_histogram = arguments.contains("boundaries");
      return json::object();
    }
    json stats{
        {"rd_operations", 5}, {"failed_rd_operations", 0}, {"rd_total_time_ns", 1'000'000'000}};
    if (has_histogram) {
      const std::vector<std::uint64_t> bins(latency_boundaries().size() + 1, 0);
      stats["rd_latency_histogram"] = {{"boundaries", latency_boundaries()}, {"bins", bins}};
    }
    return json::array({{{"device", "d"}, {"qdev", "/m/vd0"}, {"stats", stats}}});
  }
};

/// What a QEMU prints whose profile is on or off.
struct FakeProfile {
  bool on = false;
  std::vector<std::string> asked;

  json operator()(const std::string& line) {
    asked.push_back(line);
    if (line == "sync-profile") return on ? "sync-profile is on\r\n" : "sync-profile is off\r\n";
    if (line == "sync-profile on") on = true;
    if (line == "sync-profile off") on = false;
    if (!line.starts_with("info")) return "";
    return "mutex 0x1 a.c:1 0.5 2 0.1\r\n";
  }
};

TEST_F(CollectorsTest, BlockLatencySetsOnceASessionAndRemovesAtTheEnd) {
  FakeDisk disk;
  disk.id = "/m/vd0/virtio-backend";
  Answers answers;
  answers.command = std::ref(disk);
  start(answering(answers));

  const std::string first = samples("block-latency");
  const std::string second = samples("block-latency");

  EXPECT_THAT(first, HasSubstr("_count{device=\"d\",operation=\"read\"} 0\n"));
  EXPECT_THAT(first, HasSubstr("_sum{device=\"d\",operation=\"read\"} 0\n"));
  EXPECT_EQ(first, second);
  EXPECT_THAT(disk.asked, testing::ElementsAre("/m/vd0", disk.id));

  session = 2;
  EXPECT_EQ(samples("block-latency"), first);
  EXPECT_EQ(disk.asked.size(), 4U);
  EXPECT_TRUE(qemon::test::run(context, collector("block-latency").finish(view())));
  EXPECT_FALSE(disk.has_histogram);
  // Under both names before it was known which is right; nothing of it at the end.
  EXPECT_THAT(journaled.at(0).latency_histograms, testing::ElementsAre("/m/vd0"));
  EXPECT_THAT(journaled.at(1).latency_histograms, testing::ElementsAre(disk.id));
  EXPECT_FALSE(journaled.back().any());
}

TEST_F(CollectorsTest, BlockLatencyRemovesWhatAnEarlierLifeLeft) {
  FakeDisk disk;
  disk.id = "/m/vd0/virtio-backend";
  disk.has_histogram = true;
  changed.latency_histograms = {disk.id, "unplugged"};
  Answers answers;
  answers.command = std::ref(disk);
  start(answering(answers));

  EXPECT_TRUE(qemon::test::run(context, collector("block-latency").finish(view())));

  EXPECT_FALSE(disk.has_histogram);
  EXPECT_FALSE(changed.any());
}

TEST_F(CollectorsTest, ChangeNothingThatTheJournalDoesNotTake) {
  FakeDisk disk;
  disk.id = "/m/vd0";
  FakeProfile profile;
  Answers answers;
  answers.command = std::ref(disk);
  answers.human = std::ref(profile);
  start(answering(answers));
  journal = [] { return Result<void>(Error{"the journal: no space left"}); };

  EXPECT_EQ(samples("block-latency"), "error: the journal: no space left");
  EXPECT_EQ(samples("sync-profile"), "error: the journal: no space left");

  EXPECT_FALSE(disk.has_histogram);
  EXPECT_FALSE(profile.on);
  EXPECT_FALSE(changed.any());
}

TEST_F(CollectorsTest, BlockLatencyDoesNotInsistWhereItIsRefused) {
  FakeDisk disk;
  disk.id = "another";
  Answers answers;
  answers.command = std::ref(disk);
  start(answering(answers));

  EXPECT_EQ(samples("block-latency"), "");
  EXPECT_EQ(samples("block-latency"), "");
  EXPECT_EQ(disk.asked.size(), 2U);
}

TEST_F(CollectorsTest, SyncProfileIsOnOnlyAsLongAsItIsWanted) {
  FakeProfile profile;
  Answers answers;
  answers.human = std::ref(profile);
  start(answering(answers));

  EXPECT_THAT(samples("sync-profile"), HasSubstr("} 0.5\n"));
  EXPECT_THAT(samples("sync-profile"), HasSubstr("} 0.5\n"));
  EXPECT_TRUE(profile.on);
  session = 2;
  EXPECT_THAT(samples("sync-profile"), HasSubstr("} 0.5\n"));
  EXPECT_TRUE(qemon::test::run(context, collector("sync-profile").finish(view())));

  EXPECT_FALSE(profile.on);
  EXPECT_EQ(std::count(profile.asked.begin(), profile.asked.end(), "sync-profile on"), 1);
  EXPECT_TRUE(journaled.at(0).sync_profile);
  EXPECT_FALSE(journaled.back().any());
}

// Nothing is left behind that could be undone a moment later.
TEST_F(CollectorsTest, ARunnerTriesAgainWhatItCouldNotUndo) {
  FakeProfile profile;
  std::atomic<bool> answers_in_time = false;
  Answers answers;
  answers.human = [&](const std::string& line) {
    if (line == "sync-profile off" && !answers_in_time) {
      EXPECT_TRUE(qemon::test::wait_until([&] { return answers_in_time.load(); }));
      return json("");
    }
    return profile(line);
  };
  start(answering(answers));
  exporters::FamilyTextMaker texts;
  CollectorRunner runner(texts, journal);
  std::map<std::string, CollectorSettings> settings;
  for (const auto& one : collectors) settings[one.name].on = false;
  auto& profiling = settings["sync-profile"];
  profiling.on = true;
  profiling.interval = std::chrono::milliseconds(20);
  runner.configure(settings);
  runner.begin_session(std::make_shared<const std::set<std::string>>(commands), true, 0);
  const auto turn = [&] {
    const auto polled = qemon::test::run(context, runner.poll_one(client.get(), identity, process));
    return polled ? std::string() : polled.error().detail;
  };
  ASSERT_TRUE(qemon::test::wait_until([&] { return turn().empty() && profile.on; }));

  profiling.on = false;
  profiling.deadline = std::chrono::milliseconds(50);
  runner.configure(settings);
  EXPECT_THAT(turn(), HasSubstr("no answer within 50 ms"));
  EXPECT_LT(runner.next_due(), CollectorRunner::Clock::time_point::max());
  answers_in_time = true;

  EXPECT_TRUE(qemon::test::wait_until([&] { return turn().empty() && !profile.on; }));
  EXPECT_EQ(runner.next_due(), CollectorRunner::Clock::time_point::max());
}

TEST_F(CollectorsTest, SyncProfileThatWasOnStaysOn) {
  FakeProfile profile;
  profile.on = true;
  Answers answers;
  answers.human = std::ref(profile);
  start(answering(answers));

  EXPECT_THAT(samples("sync-profile"), HasSubstr("} 0.5\n"));
  EXPECT_TRUE(qemon::test::run(context, collector("sync-profile").finish(view())));

  EXPECT_TRUE(profile.on);
  EXPECT_EQ(std::count(profile.asked.begin(), profile.asked.end(), "sync-profile off"), 0);
}

TEST_F(CollectorsTest, JobsAsksTheSecondQuestionOnlyIfThereIsAJob) {
  std::atomic<int> questions = 0;
  Answers answers;
  answers.command = [&questions](const json&) {
    ++questions;
    return json::array();
  };
  start(answering(answers));

  EXPECT_EQ(samples("jobs"), "qemu_jobs 0\n");
  EXPECT_EQ(questions, 1);
}

}  // namespace
}  // namespace qemon::daemon
