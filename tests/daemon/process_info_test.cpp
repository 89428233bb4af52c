#include "daemon/process_info.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/unique_fd.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

TEST(ProcessInfo, TellsWhoAndWhatThisProcessIs) {
  const auto process = inspect_process(::getpid());

  ASSERT_TRUE(process);
  EXPECT_EQ(process->pid, ::getpid());
  EXPECT_EQ(process->uid, ::geteuid());
  EXPECT_GT(process->start_ticks, 0U);
  EXPECT_NE(process->exe.find("daemon_test"), std::string::npos);
  EXPECT_FALSE(process->exe_deleted);
  EXPECT_FALSE(process->arguments.empty());
  EXPECT_TRUE(is_alive(*process));
}

TEST(ProcessInfo, FindsTheProcessOfAThread) {
  pid_t thread_id = 0;
  std::optional<pid_t> found;
  std::thread([&] {
    thread_id = static_cast<pid_t>(::syscall(SYS_gettid));
    found = process_of_thread(thread_id);
  }).join();

  EXPECT_NE(thread_id, ::getpid());
  EXPECT_EQ(found, ::getpid());
}

TEST(ProcessInfo, SaysThatThereIsNoSuchProcess) {
  const auto process = inspect_process(0x7ffffff0);

  ASSERT_FALSE(process);
  EXPECT_EQ(process.error().detail, "there is no process 2147483632 on this host");
  EXPECT_FALSE(process_of_thread(0x7ffffff0));
}

TEST(ProcessInfo, AProcessThatHasEndedIsNotAlive) {
  const auto child = ::fork();
  if (child == 0) ::pause();
  const auto process = inspect_process(child);
  ASSERT_TRUE(process);
  ASSERT_TRUE(is_alive(*process));

  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);

  EXPECT_FALSE(is_alive(*process));
}

TEST(OpenFiles, TellPathsFlagsAndDeletion) {
  const test::TempDir directory;
  const auto path = std::string(directory.path()) + "/a file";
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  ASSERT_TRUE(file);
  const auto find = [&] {
    const auto files = open_files(::getpid());
    EXPECT_TRUE(files);
    const auto found = std::find_if(files->begin(), files->end(),
                                    [&](const OpenFile& f) { return f.descriptor == file.get(); });
    return found != files->end() ? *found : OpenFile{};
  };

  const auto before = find();
  ::unlink(path.c_str());
  const auto after = find();

  EXPECT_EQ(before.target, path);
  EXPECT_EQ(before.kind, FileKind::regular);
  EXPECT_FALSE(before.deleted);
  EXPECT_EQ(before.flags & (O_ACCMODE | O_APPEND | O_CLOEXEC), O_WRONLY | O_APPEND | O_CLOEXEC);
  EXPECT_EQ(after.target, path);
  EXPECT_TRUE(after.deleted);
}

TEST(OpenFiles, KnowTheMountsWhoseServerMayNotAnswer) {
  const auto mounts = remote_mounts(
      "22 27 0:21 / /proc rw,nosuid - proc proc rw\n"
      "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
      "40 27 0:35 / /home\\040x rw,relatime shared:20 - nfs4 server:/home rw,vers=4.2\n"
      "41 27 0:36 / /mnt rw - fuse.sshfs user@host:/ rw\n"
      "42 27 0:37 / /media rw - fuseblk /dev/sdb1 rw\n"
      "43 27 0:38 / /cut rw - nfs");

  EXPECT_EQ(mounts,
            (std::map<std::uint64_t, std::string>{{40, "nfs4"}, {41, "fuse.sshfs"}, {43, "nfs"}}));
  EXPECT_TRUE(remote_mounts("").empty());
  EXPECT_TRUE(remote_mounts("\n - nfs x\nx 1 - nfs\n").empty());
}

TEST(RemoteType, IsThatOfTheMountThatAPathIsOn) {
  const std::string mounts =
      "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
      "40 27 0:35 / /home\\040x rw,relatime shared:20 - nfs4 server:/home rw,vers=4.2\n"
      "41 40 0:36 / /home\\040x/local rw - tmpfs tmpfs rw\n"
      "42 27 0:37 / /mnt rw - ext4 /dev/sdb1 rw\n"
      "43 42 0:38 / /mnt rw - fuse.sshfs user@host:/ rw\n";

  EXPECT_EQ(remote_type_of("/run/vms/a", mounts), "");
  EXPECT_EQ(remote_type_of("/home x/a", mounts), "nfs4");
  EXPECT_EQ(remote_type_of("/home x/local/a", mounts), "");
  EXPECT_EQ(remote_type_of("/home xy/a", mounts), "");
  EXPECT_EQ(remote_type_of("/mnt/a", mounts), "fuse.sshfs");
  EXPECT_EQ(remote_type_of("/tab\there/a", "1 2 0:3 / /tab\\011here rw - autofs x rw\n"), "autofs");
  EXPECT_EQ(remote_type_of("/a", ""), "");
}

TEST(OpenFiles, TellPipesFromFiles) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);

  const auto files = open_files(::getpid());

  ASSERT_TRUE(files);
  const auto found = std::find_if(files->begin(), files->end(),
                                  [&](const OpenFile& f) { return f.descriptor == ends[1]; });
  ASSERT_NE(found, files->end());
  EXPECT_EQ(found->kind, FileKind::fifo);
  EXPECT_TRUE(found->target.starts_with("pipe:["));
}

}  // namespace
}  // namespace qemon::daemon
