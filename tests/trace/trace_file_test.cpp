#include "trace/trace_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <optional>
#include <vector>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"
#include "trace/file_tail.hpp"

namespace qemon::trace {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class TraceFileTest : public testing::Test {
 protected:
  TraceFile create(std::string_view vm = "vm1") {
    auto file = TraceFile::create(dir.path().string(), vm);
    EXPECT_TRUE(file) << file.error().detail;
    return std::move(*file);
  }
  static void write(const TraceFile& file, std::uint64_t offset, const std::string& bytes) {
    ASSERT_EQ(::pwrite(file.fd(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }

  test::TempDir dir;
};

TEST_F(TraceFileTest, IsNewPrivateAndRemovedAtTheEnd) {
  std::string path;
  {
    const TraceFile file = create();
    path = file.path();
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    EXPECT_EQ(::fcntl(file.fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    EXPECT_NE(create().path(), path);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(TraceFileTest, NamesAreHarmlessWhateverTheVmIsCalled) {
  for (const std::string& vm : std::vector<std::string>{"web1", "../../etc/passwd", "a b;c$d%d", "",
                                                        "-rf", ".hidden", std::string(1000, 'x')}) {
    const TraceFile file = create(vm);
    const auto path = std::filesystem::path(file.path());
    EXPECT_EQ(path.parent_path(), dir.path()) << vm;
    EXPECT_THAT(path.filename().string(), MatchesRegex("[A-Za-z0-9_][A-Za-z0-9_-]+\\.trace"));
    EXPECT_LT(path.filename().string().size(), 100U);
  }
}

TEST_F(TraceFileTest, KeepsTheFileWhenAskedTo) {
  std::string path;
  {
    TraceFile file = create();
    path = file.path();
    file.keep();
  }
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(TraceFileTest, DoesNotRemoveAnotherFileOfItsName) {
  std::string path;
  {
    const TraceFile file = create();
    path = file.path();
    std::filesystem::remove(path);
    test::write_file(path, "somebody else's");
  }
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(TraceFileTest, MovingLeavesOneOwner) {
  TraceFile file = create("first");
  const std::string first = file.path();
  file = create("second");

  EXPECT_FALSE(std::filesystem::exists(first));
  EXPECT_TRUE(std::filesystem::exists(file.path()));
}

TEST_F(TraceFileTest, SaysWhichDirectoryIsMissing) {
  const auto file = TraceFile::create(dir / "missing", "vm1");

  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().detail,
            (dir / "missing") + ": cannot open the trace directory: No such file or directory");
}

/// Whether a process of `user` can open the file for reading and writing with truncation, as QEMU
/// does.
bool user_can_write(uid_t user, const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(user) != 0 || ::setuid(user) != 0) ::_exit(2);
    ::_exit(::open(path.c_str(), O_RDWR | O_TRUNC) >= 0 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(TraceFileTest, LetsAnotherUserWriteAndNobodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  std::filesystem::permissions(dir.path(), std::filesystem::perms(0711));
  TraceFile file = create();
  EXPECT_FALSE(user_can_write(65534, file.path()));

  const auto allowed = file.allow(65534);

  ASSERT_TRUE(allowed) << allowed.error().detail;
  EXPECT_TRUE(user_can_write(65534, file.path()));
  EXPECT_FALSE(user_can_write(65533, file.path()));
  ASSERT_TRUE(file.allow(65533));
  EXPECT_TRUE(user_can_write(65533, file.path()));
  EXPECT_FALSE(user_can_write(65534, file.path()));
}

TEST_F(TraceFileTest, AllowingItsOwnerChangesNothing) {
  TraceFile file = create();

  ASSERT_TRUE(file.allow(::geteuid()));

  struct stat status {};
  ASSERT_EQ(::fstat(file.fd(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
}

/// False where this file system has no holes.
bool can_release(TraceFile& file) {
  EXPECT_TRUE(file.release_consumed(1 << 20));
  file.restart();
  return file.holes_supported();
}

TEST_F(TraceFileTest, GivesBackInLargeStepsAndNeverTheLastBlock) {
  TraceFile file = create();
  write(file, 0, std::string(1 << 20, 'x'));
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));

  EXPECT_EQ(*file.release_consumed(0), 0U);
  EXPECT_EQ(*file.release_consumed(65536), 0U);
  EXPECT_EQ(*file.release_consumed(65536 + page - 1), 0U);
  const auto released = file.release_consumed(65536 + page + 5);
  if (!file.holes_supported()) GTEST_SKIP() << "no holes on this file system";
  EXPECT_EQ(*released, 65536U);
  EXPECT_EQ(*file.release_consumed(65536 + page + 5000), 0U);
  EXPECT_EQ(*file.release_consumed(1 << 20), (1U << 20) - 65536 - page);

  struct stat status {};
  ASSERT_EQ(::fstat(file.fd(), &status), 0);
  EXPECT_EQ(status.st_size, 1 << 20);
  EXPECT_LE(*file.allocated_bytes(), 4 * page);
  char last = 0;
  ASSERT_EQ(::pread(file.fd(), &last, 1, (1 << 20) - static_cast<off_t>(page)), 1);
  EXPECT_EQ(last, 'x');
}

TEST_F(TraceFileTest, StartsOverWhenTheFileWasTruncated) {
  TraceFile file = create();
  if (!can_release(file)) GTEST_SKIP() << "no holes on this file system";
  write(file, 0, std::string(1 << 20, 'x'));
  EXPECT_GT(*file.release_consumed(1 << 20), 0U);

  ASSERT_EQ(::ftruncate(file.fd(), 0), 0);
  write(file, 0, std::string(1 << 20, 'y'));

  EXPECT_GT(*file.release_consumed(512 * 1024), 0U);
  EXPECT_LE(*file.allocated_bytes(), (512U + 16) * 1024);
}

TEST_F(TraceFileTest, StaysSmallWhileMuchIsWrittenAndRead) {
  TraceFile file = create();
  if (!can_release(file)) GTEST_SKIP() << "no holes on this file system";
  FileTail tail(file.path());
  std::vector<char> buffer(256 * 1024);
  std::uint64_t written = 0;
  std::uint64_t read = 0;
  std::uint64_t largest = 0;
  unsigned char next = 0;

  while (written < 64U << 20) {
    // An odd size, so that no boundary ever falls together with a page.
    std::string piece(50'021, '\0');
    for (char& c : piece) c = static_cast<char>(next++ % 251);
    write(file, written, piece);
    written += piece.size();
    for (;;) {
      const auto chunk = tail.read(buffer);
      ASSERT_TRUE(chunk) << chunk.error().detail;
      if (chunk->size == 0 && !chunk->begins) break;
      read += chunk->size;
    }
    ASSERT_TRUE(file.release_consumed(tail.offset()));
    largest = std::max(largest, *file.allocated_bytes());
  }

  EXPECT_EQ(read, written);
  EXPECT_EQ(tail.truncations(), 0U);
  EXPECT_LT(largest, 1U << 20);
}

}  // namespace
}  // namespace qemon::trace
