#include "daemon/log_destination.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace qemon::daemon {
namespace {

constexpr auto our_directory = "/run/qemond/trace";

OpenFile open_file(int descriptor, FileKind kind, std::string target, int flags = O_WRONLY) {
  OpenFile file;
  file.descriptor = descriptor;
  file.kind = kind;
  file.target = std::move(target);
  file.flags = flags;
  return file;
}

ProcessInfo qemu(std::vector<std::string> arguments) {
  ProcessInfo process;
  process.pid = 42;
  process.cwd = "/srv/vm";
  process.arguments = std::move(arguments);
  process.arguments.insert(process.arguments.begin(), "qemu-system-x86_64");
  return process;
}

/// The file the log goes to in place, or "restore with X".
std::string destination(const ProcessInfo& process, const std::vector<OpenFile>& files,
                        bool simple = false) {
  const auto found = log_destination_at_start(process, files, our_directory, simple);
  return found.user_file ? found.user_file->target : "restore with " + found.restore;
}

const auto terminal = open_file(2, FileKind::character, "/dev/pts/3", O_RDWR);

TEST(LogDestination, IsSilencedWhileQemuWritesToTheNullDeviceAsToALog) {
  const auto null = [](int descriptor, int flags) {
    return std::vector{terminal, open_file(descriptor, FileKind::character, "/dev/null", flags)};
  };

  EXPECT_TRUE(is_log_silenced(null(9, O_WRONLY)));
  EXPECT_FALSE(is_log_silenced(null(2, O_WRONLY)));
  EXPECT_FALSE(is_log_silenced(null(9, O_RDWR)));
  EXPECT_FALSE(is_log_silenced(null(9, O_WRONLY | O_CLOEXEC)));
}

TEST(LogDestination, KnowsOurFileByItsPathInsideAMountOfALostNamespace) {
  struct stat proc {};
  ASSERT_EQ(::stat("/proc", &proc), 0);
  const auto in_proc = [&](std::string target) {
    auto file = open_file(7, FileKind::regular, std::move(target));
    file.device = proc.st_dev;
    return std::vector{file};
  };
  const auto elsewhere = std::vector{open_file(7, FileKind::regular, "/vm.trace")};

  EXPECT_TRUE(has_file_in(in_proc("/vm.trace"), "/proc"));
  EXPECT_TRUE(has_file_in(in_proc("/sys/vm.trace"), "/proc/sys"));
  EXPECT_FALSE(has_file_in(in_proc("/vm.trace"), "/proc/sys"));
  EXPECT_FALSE(has_file_in(in_proc("/sys/kernel/vm.trace"), "/proc/sys"));
  EXPECT_FALSE(has_file_in(elsewhere, "/proc"));
}

TEST(LogDestination, IsTheFileNamedByDashD) {
  const std::vector files{terminal, open_file(7, FileKind::regular, "/var/log/vm.log")};

  EXPECT_EQ(destination(qemu({"-D", "/var/log/vm.log"}), files), "/var/log/vm.log");
  EXPECT_EQ(destination(qemu({"--D", "/var/log/vm.log"}), files), "/var/log/vm.log");
}

TEST(LogDestination, ResolvesRelativeNamesAndProcessIds) {
  const std::vector files{terminal, open_file(7, FileKind::regular, "/srv/vm/log.42")};

  EXPECT_EQ(destination(qemu({"-D", "log.%d"}), files), "/srv/vm/log.42");
}

TEST(LogDestination, FindsARelativeNameAlsoAfterTheDirectoryChanged) {
  auto process = qemu({"-daemonize", "-D", "vm.log"});
  process.cwd = "/";

  EXPECT_EQ(destination(process, {open_file(7, FileKind::regular, "/srv/vm/vm.log")}),
            "/srv/vm/vm.log");
}

TEST(LogDestination, IsTheTraceFileOptionOnlyWithoutTheSimpleBackend) {
  const std::vector files{terminal, open_file(7, FileKind::regular, "/tmp/t,1")};
  const auto process = qemu({"-trace", "enable=exec_tb,file=/tmp/t,,1"});

  EXPECT_EQ(destination(process, files, false), "/tmp/t,1");
  EXPECT_EQ(destination(process, files, true), "restore with /proc/self/fd/2");
}

TEST(LogDestination, IsNotAFileThatTheLogHasLeft) {
  EXPECT_EQ(destination(qemu({"-D", "/var/log/vm.log"}), {terminal}),
            "restore with /proc/self/fd/2");
}

TEST(LogDestination, IsNotAFileOpenForReadingOnly) {
  const std::vector files{terminal, open_file(7, FileKind::regular, "/var/log/vm.log", O_RDONLY)};

  EXPECT_EQ(destination(qemu({"-D", "/var/log/vm.log"}), files), "restore with /proc/self/fd/2");
}

TEST(LogDestination, IsStandardErrorWithoutDashD) {
  EXPECT_EQ(destination(qemu({}), {open_file(2, FileKind::regular, "/srv/vm/err.txt")}),
            "/srv/vm/err.txt");
  EXPECT_EQ(destination(qemu({}), {open_file(2, FileKind::fifo, "pipe:[1]")}),
            "restore with /proc/self/fd/2");
  EXPECT_EQ(destination(qemu({}), {open_file(2, FileKind::character, "/dev/null")}),
            "restore with /dev/null");
  EXPECT_EQ(destination(qemu({}), {}), "restore with /dev/null");
}

TEST(LogDestination, SaysThatASocketCannotBeOpenedAgain) {
  const std::vector files{open_file(2, FileKind::socket, "socket:[1]")};

  const auto found = log_destination_at_start(qemu({}), files, our_directory, false);

  EXPECT_EQ(found.restore, "/dev/null");
  EXPECT_EQ(found.not_restorable, "standard error is a socket, which QEMU cannot open again");
}

TEST(LogDestination, IsNeverAFileThatAnEarlierQemondLeft) {
  const std::vector files{open_file(2, FileKind::regular, "/run/qemond/trace/vm-1.trace")};

  EXPECT_EQ(destination(qemu({"-daemonize"}), files), "restore with /dev/null");
}

TEST(LogCandidates, AreFilesThatAHumanMonitorMayHaveRedirectedTheLogTo) {
  const std::vector files{
      open_file(1, FileKind::regular, "/tmp/out"),
      open_file(5, FileKind::regular, "/tmp/logfile"),
      open_file(6, FileKind::regular, "/tmp/serial", O_WRONLY | O_CLOEXEC),
      open_file(7, FileKind::regular, "/tmp/disk.img", O_RDWR),
      open_file(8, FileKind::fifo, "pipe:[1]"),
      open_file(9, FileKind::regular, "/run/qemond/trace/vm-1.trace"),
  };

  const auto candidates = log_candidates(files, our_directory);

  ASSERT_EQ(candidates.size(), 1U);
  EXPECT_EQ(candidates.front().target, "/tmp/logfile");
}

TEST(LogDestination, KnowsATraceFileOnAServer) {
  auto remote = open_file(7, FileKind::regular, "/net/share/trace.bin");
  remote.remote = "nfs4";
  auto image = open_file(8, FileKind::regular, "/net/share/disk.img", O_RDWR);
  image.remote = "nfs4";
  const std::vector files{terminal, open_file(6, FileKind::regular, "/var/trace.bin"), image,
                          remote};

  EXPECT_EQ(remote_file_named(files, "/srv/link/trace.bin")->target, "/net/share/trace.bin");
  EXPECT_FALSE(remote_file_named(files, "/srv/link/another.bin"));
}

TEST(LogTimestamps, AreOnOnlyWhenAskedFor) {
  EXPECT_TRUE(has_log_timestamps(qemu({"-msg", "timestamp=on"})));
  EXPECT_TRUE(has_log_timestamps(qemu({"-msg", "guest-name=on,timestamp=on"})));
  EXPECT_TRUE(has_log_timestamps(qemu({"-msg", "timestamp"})));
  EXPECT_FALSE(has_log_timestamps(qemu({"-msg", "timestamp=off"})));
  EXPECT_FALSE(has_log_timestamps(qemu({"-name", "timestamp=on"})));
  EXPECT_FALSE(has_log_timestamps(qemu({})));
}

}  // namespace
}  // namespace qemon::daemon
