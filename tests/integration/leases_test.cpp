// Leases: who wants what on and until when; and that all is as it was found, whatever becomes of
// qemond.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;

/// The events that are on, as QEMU says.
std::set<std::string> events_on(Qemu& vm) {
  std::set<std::string> on;
  for (const auto& each : vm.monitor().execute("trace-event-get-state", {{"name", "*"}}))
    if (each.at("state") == "enabled") on.insert(each.at("name"));
  return on;
}

nlohmann::json leases_of(const Qemond& daemon) {
  return nlohmann::json::parse(http_get(daemon.control_socket(), "/v1/leases").body).at("leases");
}

class LeasesOn : public OnQemu {
 protected:
  /// The journal's entries.
  [[nodiscard]] std::vector<nlohmann::json> journal() const {
    std::vector<nlohmann::json> entries;
    if (!std::filesystem::exists(directory / "run/journal")) return entries;
    for (const auto& file : journal_files())
      entries.push_back(nlohmann::json::parse(read_file(file)));
    return entries;
  }
  /// Whether the first lease has ended by itself, for whoever looked too late.
  static bool is_over(const Qemond& daemon) {
    return daemon.log().find("lease=1 is over") != std::string::npos;
  }
};
ON_EACH_QEMU(LeasesOn);

TEST_P(LeasesOn, EventsEndByThemselves) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  const auto said = done(daemon.qemon({"event", "on", read_event, "--for", "2s"}));
  const bool was_on = vm.monitor().event_enabled(read_event) || is_over(daemon);

  EXPECT_THAT(said, AllOf(HasSubstr("1 event on until "), HasSubstr("(lease 1)")));
  EXPECT_TRUE(was_on);
  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(read_event); }));
  EXPECT_THAT(leases_of(daemon), IsEmpty());
  EXPECT_THAT(daemon.log(), HasSubstr("lease=1 is over what=\"virtio_blk_handle_read\""));
  EXPECT_TRUE(wait_until([&] { return journal().empty(); }));
}

TEST_P(LeasesOn, APackEndsByItself) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  done(daemon.qemon({"pack", "on", "virtio-blk", "--for", "2s"}));
  const bool was_on = vm.monitor().event_enabled(read_event) || is_over(daemon);

  EXPECT_TRUE(was_on);
  EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(read_event); }));
  EXPECT_TRUE(wait_until([&] { return daemon.vm("vm").at("packs").empty(); }));
}

TEST_P(LeasesOn, TheSameEventOverlap) {
  Qemu vm(GetParam(), directory / "vm");
  vm.monitor().set_event(complete_event, true);
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  done(daemon.qemon({"event", "on", "virtio_blk_*", "--for", "1s"}));
  done(daemon.qemon({"event", "on", read_event, "--for", "forever"}));
  ASSERT_TRUE(wait_until([&] { return leases_of(daemon).size() == 1; }));
  ASSERT_TRUE(wait_until([&] { return !vm.monitor().event_enabled(write_event); }));

  // Its own was over, but another one wants it; and what was on before is none of ours.
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));
  EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
  EXPECT_THAT(done(daemon.qemon({"lease", "end", "2"})), HasSubstr("1 event off"));
  EXPECT_EQ(events_on(vm), std::set<std::string>{complete_event});
}

TEST_P(LeasesOn, AreListedExtendedAndEnded) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  done(daemon.qemon({"event", "on", read_event, write_event}));
  done(daemon.qemon({"pack", "on", "virtio-blk", "--for", "10m"}));

  EXPECT_THAT(done(daemon.qemon({"lease", "list"})),
              AllOf(HasSubstr("virtio_blk_handle_read virtio_blk_handle_write"),
                    HasSubstr("pack virtio-blk"), ContainsRegex(R"(\((1h 0m|59m [0-9]+s)\))"),
                    ContainsRegex(R"(\((10m 0s|9m [0-9]+s)\))")));
  EXPECT_EQ(daemon.vm("vm").at("leases"), 2);
  // The same wish of the same user is the same lease.
  done(daemon.qemon({"event", "on", read_event, write_event, "--for", "forever"}));
  EXPECT_EQ(leases_of(daemon).size(), 2U);
  EXPECT_TRUE(leases_of(daemon)[0].at("until").is_null());
  EXPECT_THAT(done(daemon.qemon({"lease", "extend", "1", "--for", "1s"})), HasSubstr("until"));
  EXPECT_TRUE(wait_until([&] { return leases_of(daemon).size() == 1; }));
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));

  EXPECT_THAT(done(daemon.qemon({"lease", "end", "2"})), HasSubstr("lease 2 ended"));

  EXPECT_THAT(events_on(vm), IsEmpty());
  EXPECT_THAT(daemon.qemon({"lease", "end", "2"}).err, HasSubstr("there is no lease 2"));
  EXPECT_THAT(daemon.log(),
              AllOf(HasSubstr("vm: events switched on count=2 lease=1 until="),
                    HasSubstr("lease=1 extended until="), HasSubstr("lease=2 ended"),
                    HasSubstr("by=" + std::string(::geteuid() == 0 ? "root(0)" : ""))));
}

TEST_P(LeasesOn, EventsThatSomebodySwitchedOnJustBeforeLeaveThemOn) {
  Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  // Right before, so that no regular look can have seen it.
  for (int round = 0; round < 5; ++round) {
    vm.monitor().set_event(read_event, true);
    const auto said = done(daemon.qemon({"event", "on", read_event, write_event}));
    EXPECT_THAT(said, HasSubstr("1 event on"));
    done(daemon.qemon({"event", "off", "*"}));
    EXPECT_EQ(events_on(vm), std::set<std::string>{read_event});
    vm.monitor().set_event(read_event, false);
  }
}

TEST_P(LeasesOn, GoOnAfterACrashAndEndWhileQemondIsDead) {
  Qemu vm(GetParam(), directory / "vm");
  vm.monitor().set_event(complete_event, true);
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    done(daemon.qemon({"event", "on", read_event, complete_event, "--for", "forever"}));
    done(daemon.qemon({"event", "on", write_event, "--for", "1ms"}));
    done(daemon.qemon({"event", "on", "blk_co_preadv", "--for", "300ms"}));
    daemon.crash();
  }
  // Over by then, in all likelihood while nobody was there; over it is in any case.
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const std::set<std::string> expected{read_event, complete_event};
  EXPECT_TRUE(wait_until([&] { return events_on(vm) == expected; }));
  EXPECT_EQ(leases_of(daemon).size(), 1U);
  EXPECT_EQ(leases_of(daemon)[0].at("id"), 1);
  vm.guest().read(20);
  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 20));
  // Ids are not used again.
  done(daemon.qemon({"event", "on", write_event}));
  EXPECT_EQ(leases_of(daemon)[1].at("id"), 4);

  EXPECT_EQ(daemon.stop(), ExitStatus{});

  EXPECT_EQ(events_on(vm), std::set<std::string>{complete_event});
  EXPECT_THAT(journal(), IsEmpty());
}

TEST_P(LeasesOn, RespectAfterACrashWhatOthersSwitchedOffMeanwhile) {
  Qemu vm(GetParam(), directory / "vm");
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    daemon.events_on({read_event, write_event});
    daemon.crash();
  }
  vm.monitor().set_event(read_event, false);
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  // An occasion on which it could be switched on.
  daemon.events_on({complete_event});

  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_TRUE(vm.monitor().event_enabled(write_event));
}

TEST_P(LeasesOn, OfAVmThatWasAttachedByCommandGoOnAfterACrash) {
  Qemu vm(GetParam(), directory / "vm");
  Qemu other(GetParam(), directory / "other");
  {
    Qemond daemon(home(), watching(other));
    done(daemon.qemon({"vm", "attach", "guest", vm.address()}));
    ASSERT_TRUE(daemon.wait_attached("guest"));
    done(daemon.qemon({"event", "on", read_event, "--vm", "guest"}));
    daemon.crash();
  }
  {
    Qemond daemon(home(), watching(other));
    ASSERT_TRUE(wait_until([&] {
      const auto status = daemon.status();
      return status.at("vms").size() == 2 && status.at("vms")[0].at("state") == "attached";
    }));
    EXPECT_EQ(leases_of(daemon).size(), 1U);
    EXPECT_EQ(leases_of(daemon)[0].at("vm"), "guest");
    done(daemon.qemon({"vm", "detach", "guest"}));
    EXPECT_TRUE(wait_until([&] { return events_on(vm).empty(); }));
    EXPECT_TRUE(wait_until([&] { return journal().empty(); }));
  }
}

TEST_P(LeasesOn, OfAVmThatTheConfigurationNamesNoMoreArePutBack) {
  Qemu vm(GetParam(), directory / "vm");
  Qemu other(GetParam(), directory / "other");
  {
    Qemond daemon(home(), watching({{"vm", vm.address()}, {"other", other.address()}}));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    done(daemon.qemon({"event", "on", read_event, "--vm", "vm", "--for", "forever"}));
    daemon.crash();
  }
  const Qemond daemon(home(), watching({{"other", other.address()}}));

  EXPECT_TRUE(wait_until([&] { return events_on(vm).empty(); }));
  EXPECT_TRUE(wait_until([&] { return journal().empty(); }));
  EXPECT_EQ(daemon.status().at("vms").size(), 1U);
}

TEST_P(LeasesOn, OutliveARestartOfQemuWhileQemondIsDead) {
  auto vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  const std::string address = vm->address();
  {
    Qemond daemon(home(), watching(*vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    done(daemon.qemon({"event", "on", read_event, "--for", "forever"}));
    daemon.crash();
  }
  vm.reset();
  vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  vm->monitor().set_event(write_event, true);
  Qemond daemon(home(), watching({{"vm", address}}));

  EXPECT_TRUE(wait_until([&] { return vm->monitor().event_enabled(read_event); }));
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  // The journal spoke of another process, so this is not ours.
  EXPECT_EQ(events_on(*vm), std::set<std::string>{write_event});
}

TEST_P(LeasesOn, AreNotDisturbedByAReload) {
  Qemu vm(GetParam(), directory / "vm");
  auto options = watching(vm);
  options.arguments.insert(options.arguments.end(), {"--pack", "block"});
  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));
  done(daemon.qemon({"event", "on", read_event, "--for", "2h"}));
  done(daemon.qemon({"pack", "on", "block", "virtio-blk", "--for", "1h"}));
  const auto before = leases_of(daemon);
  ASSERT_EQ(before.size(), 4U);
  EXPECT_EQ(before[0].at("user"), "configuration");

  done(daemon.qemon({"reload"}));

  const auto after = leases_of(daemon);
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].at("id"), before[i].at("id"));
    EXPECT_EQ(after[i].at("events"), before[i].at("events"));
    EXPECT_EQ(after[i].at("until").is_null(), before[i].at("until").is_null());
  }
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));
}

TEST_P(LeasesOn, PacksThatTheConfigurationNamesAreOneEachAlsoAfterACrash) {
  Qemu vm(GetParam(), directory / "vm");
  const auto options = watching(vm);
  auto with_pack = options;
  with_pack.arguments.insert(with_pack.arguments.end(), {"--pack", "virtio-blk"});
  for (int life = 0; life < 2; ++life) {
    Qemond daemon(home(), with_pack);
    ASSERT_TRUE(daemon.wait_attached("vm"));
    EXPECT_EQ(leases_of(daemon).size(), 1U);
    daemon.crash();
  }
  // The configuration names it no more.
  const Qemond daemon(home(), options);
  ASSERT_TRUE(daemon.wait_attached("vm"));
  EXPECT_THAT(leases_of(daemon), IsEmpty());
  EXPECT_THAT(events_on(vm), IsEmpty());
}

TEST_P(LeasesOn, AreNotBegunInARuntimeDirectoryWithLinks) {
  Qemu vm(GetParam(), directory / "vm");
  std::filesystem::create_directories(directory / "run");
  std::filesystem::create_directories(directory / "elsewhere");
  const auto refusal = [&]() -> std::string {
    try {
      const Qemond daemon(home(), watching(vm));
      return "it runs";
    } catch (const std::runtime_error& failure) {
      return failure.what();
    }
  };

  for (const std::string name : {"journal", "trace"}) {
    const auto link = directory / ("run/" + name);
    std::filesystem::remove_all(link);
    std::filesystem::create_directory_symlink(directory / "elsewhere", link);
    EXPECT_THAT(refusal(), HasSubstr("run/" + name + ": is a symbolic link"));
    std::filesystem::remove(link);
  }
}

TEST_P(LeasesOn, AreLeftAloneByASecondQemond) {
  Qemu vm(GetParam(), directory / "vm");
  std::filesystem::create_directory(directory / "second");
  const Qemond first(home(), watching(vm));
  ASSERT_TRUE(first.wait_attached("vm"));
  first.events_on({read_event});
  Qemond second(directory / "second", watching(vm));

  EXPECT_TRUE(second.wait_for_state("vm", "busy"));
  const Finished refused = second.qemon({"event", "on", write_event});
  EXPECT_THAT(refused.err, HasSubstr("another client holds this monitor"));
  EXPECT_EQ(second.stop(), ExitStatus{});
  EXPECT_EQ(events_on(vm), std::set<std::string>{read_event});
}

/// Whatever moment qemond is killed in, the journal knows what it has switched on, and the next one
/// puts it back.
TEST_P(LeasesOn, KilledAtAnyMomentAreFoundByTheNextQemond) {
  Qemu vm(GetParam(), directory / "vm");
  const std::set<std::string> found{complete_event, "blk_co_preadv"};
  for (const auto& event : found) vm.monitor().set_event(event, true);
  vm.guest().start_reading();
  std::mt19937 random(std::random_device{}());  // NOLINT(cert-msc51-cpp): any moment will do.
  const std::vector<std::vector<std::string>> wishes{
      {"event", "on", read_event, "--for", "forever"},
      {"event", "on", "virtio_blk_*", "--for", "20ms"},
      {"event", "on", "blk_*", "--for", "1ms"},
      {"event", "off", "*"},
      {"pack", "on", "virtio-blk", "--for", "30ms"},
      {"pack", "on", "block"},
      {"pack", "off", "block"},
      {"restore"},
  };
  const auto any = [&](std::size_t below) {
    return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
  };

  for (int round = 0; round < 100; ++round) {
    auto options = watching(vm);
    options.arguments.insert(options.arguments.end(), {"--log-level", "error"});
    Qemond daemon(home(), options);
    // Also while it attaches and takes up what the last one left.
    if (any(4) != 0) {
      ASSERT_TRUE(daemon.wait_attached("vm"));
    }
    for (std::size_t i = any(3); i > 0; --i) daemon.qemon(wishes[any(wishes.size())]);
    ProcessOptions last;
    last.command = daemon.qemon_command(wishes[any(wishes.size())]);
    const Process asking(std::move(last));
    const auto moment = std::chrono::steady_clock::now() + std::chrono::microseconds(any(40'000));
    std::ignore = wait_until([&] { return std::chrono::steady_clock::now() >= moment; });
    daemon.crash();

    std::set<std::string> accounted = found;
    for (const auto& entry : journal()) {
      for (const char* list : {"on", "about_to_be_on"})
        for (const std::string event : entry.at(list)) accounted.insert(event);
    }
    for (const auto& event : events_on(vm)) EXPECT_TRUE(accounted.contains(event)) << event;
    if (round % 10 != 9) continue;
    // Put back once by the next qemond, once without any.
    if (round % 20 == 9) {
      Qemond next(home(), watching(vm));
      ASSERT_TRUE(next.wait_attached("vm"));
      EXPECT_EQ(next.stop(), ExitStatus{});
    } else {
      done(run_qemon(home(), directory / "control",
                     {"restore", "--runtime-dir", directory / "run"}));
    }
    ASSERT_EQ(events_on(vm), found) << "after round " << round;
    ASSERT_THAT(journal(), IsEmpty());
  }
  vm.guest().stop();
}

}  // namespace
}  // namespace qemon::test
