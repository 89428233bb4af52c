// `qemon restore`: everything back as it was found, with qemond and without.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "base/unique_fd.hpp"
#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"
#include "tests/support/trace_witness.hpp"

namespace qemon::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class Restore : public OnQemu {
 protected:
  /// Without any qemond.
  [[nodiscard]] Finished restore(std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"restore", "--runtime-dir", directory / "run"});
    return run_qemon(home(), directory / "control", arguments);
  }
};
ON_EACH_QEMU(Restore);

TEST_P(Restore, EndsEverythingThroughQemond) {
  Qemu vm(GetParam(), directory / "vm");
  vm.monitor().set_event(complete_event, true);
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event, complete_event});
  ASSERT_EQ(daemon.qemon({"pack", "on", "block"}).status, ExitStatus{});

  const Finished restored = daemon.qemon({"restore"});

  EXPECT_EQ(restored.status, ExitStatus{}) << restored.err;
  EXPECT_THAT(restored.out, HasSubstr("vm: 2 leases ended: "));
  EXPECT_EQ(daemon.vm("vm").at("leases"), 0);
  EXPECT_EQ(daemon.vm("vm").at("events").at("on"), 1);
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
  EXPECT_EQ(daemon.vm("vm").at("trace").at("destination"), "none");
  EXPECT_THAT(daemon.qemon({"restore"}).out, HasSubstr("vm: 0 leases ended"));
  EXPECT_THAT(daemon.qemon({"restore", "--vm", "elsewhere"}).err, HasSubstr("no VM elsewhere"));
}

// QEMU has a file of its parent's open, which looks as a log does.
TEST_P(Restore, WorksWithoutQemond) {
  const UniqueFd inherited(::open((directory / "parent").c_str(), O_WRONLY | O_CREAT, 0600));
  QemuOptions options;
  options.stderr_pipe = true;
  Qemu vm(GetParam(), directory / "vm", options);
  vm.monitor().set_event(complete_event, true);
  const auto piped = [&vm] {
    return count_log_lines(vm.process().errors_from_pipe(), complete_event);
  };
  const std::string trace_file =
      vm.has_simple_backend() ? vm.monitor().human("trace-file") : std::string();
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    daemon.events_on({"virtio_blk_*"});
    EXPECT_EQ(daemon.vm("vm").at("trace").at("destination"),
              vm.has_simple_backend() ? "file by path" : "file by descriptor");
    daemon.crash();
  }

  const Finished restored = restore();

  EXPECT_EQ(restored.status, ExitStatus{}) << restored.err;
  EXPECT_THAT(restored.out, AllOf(HasSubstr("vm: as it was found, "), HasSubstr(read_event)));
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_FALSE(vm.monitor().event_enabled(write_event));
  EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
  const double before = piped();
  vm.guest().read(3);
  EXPECT_TRUE(wait_until([&] { return piped() == before + 3; })) << piped();
  if (vm.has_simple_backend()) {
    EXPECT_EQ(vm.monitor().human("trace-file"), trace_file);
  }
  EXPECT_THAT(journal_files(), IsEmpty());
  EXPECT_THAT(restore().out, HasSubstr("nothing to restore"));
}

TEST_P(Restore, WorksOverAHumanMonitorToo) {
  QemuOptions options;
  options.arguments = {"-monitor", "unix:" + (directory / "hmp") + ",server=on,wait=off"};
  Qemu vm(GetParam(), directory / "vm", options);
  vm.monitor().set_event(complete_event, true);
  {
    Qemond daemon(home(), watching({{"vm", "hmp:unix:" + (directory / "hmp")}}));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    daemon.events_on({"virtio_blk_*"});
    daemon.crash();
  }

  const Finished restored = restore();

  EXPECT_EQ(restored.status, ExitStatus{}) << restored.err;
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_TRUE(vm.monitor().event_enabled(complete_event));
  EXPECT_THAT(journal_files(), IsEmpty());
  EXPECT_TRUE(std::filesystem::is_empty(directory / "run/trace"));
}

TEST_P(Restore, ByTheNextQemondPutsTheDestinationBackToo) {
  QemuOptions options;
  options.stderr_pipe = true;
  Qemu vm(GetParam(), directory / "vm", options);
  vm.monitor().set_event(complete_event, true);
  const std::string trace_file =
      vm.has_simple_backend() ? vm.monitor().human("trace-file") : std::string();
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    daemon.events_on({read_event});
    daemon.crash();
  }
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().read(5);
  EXPECT_TRUE(daemon.wait_counted("vm", read_event, 5));

  EXPECT_EQ(daemon.stop(), ExitStatus{});

  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  const auto piped = [&vm] {
    return count_log_lines(vm.process().errors_from_pipe(), complete_event);
  };
  const double before = piped();
  vm.guest().read(3);
  EXPECT_TRUE(wait_until([&] { return piped() == before + 3; })) << piped();
  if (vm.has_simple_backend()) {
    EXPECT_EQ(vm.monitor().human("trace-file"), trace_file);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory / "run/trace"));
}

TEST_P(Restore, SaysWhichMonitorIsOutOfReachAndDoesTheOthers) {
  Qemu vm(GetParam(), directory / "vm");
  Qemu busy(GetParam(), directory / "busy");
  {
    Qemond daemon(home(), watching({{"vm", vm.address()}, {"busy", busy.address()}}));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    ASSERT_TRUE(daemon.wait_attached("busy"));
    daemon.events_on({read_event});
    daemon.crash();
  }
  auto other = std::make_unique<Monitor>(busy.socket());

  const Finished restored = restore();

  EXPECT_EQ(restored.status, (ExitStatus{1, 0})) << restored.out;
  EXPECT_THAT(restored.err, AllOf(HasSubstr("qemon: busy: "), HasSubstr("another client holds")));
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  EXPECT_TRUE(busy.monitor().event_enabled(read_event));
  EXPECT_EQ(journal_files().size(), 1U);
  other.reset();
  EXPECT_EQ(restore({"--vm", "busy"}).status, ExitStatus{});
  EXPECT_FALSE(busy.monitor().event_enabled(read_event));
}

TEST_P(Restore, DoesNothingToAQemuThatTookTheOthersPlace) {
  auto vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  {
    Qemond daemon(home(), watching(*vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    daemon.events_on({read_event});
    daemon.crash();
  }
  vm.reset();
  vm = std::make_unique<Qemu>(GetParam(), directory / "vm");
  vm->monitor().set_event(read_event, true);

  const Finished restored = restore();

  EXPECT_EQ(restored.status, ExitStatus{}) << restored.err;
  EXPECT_THAT(restored.out, HasSubstr("that QEMU is gone"));
  EXPECT_TRUE(vm->monitor().event_enabled(read_event));
  EXPECT_THAT(journal_files(), IsEmpty());
}

TEST_P(Restore, NamesAJournalThatCannotBeReadAndDoesTheRest) {
  Qemu vm(GetParam(), directory / "vm");
  {
    Qemond daemon(home(), watching(vm));
    ASSERT_TRUE(daemon.wait_attached("vm"));
    daemon.events_on({read_event});
    daemon.crash();
  }
  write_file(directory / "run/journal/0123456789abcdef.json", "garbage");
  std::filesystem::create_symlink("/etc/passwd", directory / "run/journal/link.json");

  const Finished restored = restore();

  EXPECT_EQ(restored.status, (ExitStatus{1, 0}));
  EXPECT_THAT(restored.err, AllOf(HasSubstr("0123456789abcdef.json: is no journal of qemond"),
                                  HasSubstr("link.json: is a symbolic link")));
  EXPECT_FALSE(vm.monitor().event_enabled(read_event));
  // And so does the next qemond.
  const Qemond daemon(home(), watching(vm));
  EXPECT_TRUE(daemon.wait_attached("vm"));
  EXPECT_THAT(daemon.log(), AllOf(HasSubstr("not taken up: "), HasSubstr("link.json")));
}

TEST_P(Restore, RefusesAJournalThatIsInUse) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  daemon.events_on({read_event});

  const Finished restored = run_qemon(home(), directory / "no-such-socket",
                                      {"restore", "--runtime-dir", daemon.runtime_dir()});

  EXPECT_EQ(restored.status, (ExitStatus{1, 0}));
  EXPECT_THAT(restored.err, HasSubstr("is using it"));
  EXPECT_TRUE(vm.monitor().event_enabled(read_event));
}

}  // namespace
}  // namespace qemon::test
