// One test per thing that happens to trace files.
#include "trace/file_tail.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <sstream>
#include <thread>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::trace {
namespace {

using test::append_file;
using test::write_file;
using testing::HasSubstr;

/// What a caller of FileTail sees over many polls: "|" stands for the beginning of a stream.
class Reader {
 public:
  explicit Reader(FileTail tail, std::size_t piece = 4096)
      : tail_(std::move(tail)), buffer_(piece) {}

  /// Polls until three polls in a row bring nothing, and returns what came.
  std::string poll() {
    std::string seen;
    for (int quiet = 0; quiet < 3;) {
      const auto chunk = tail_.read(buffer_);
      error = chunk ? std::string() : chunk.error().detail;
      if (chunk && chunk->begins) seen += '|';
      if (chunk) seen.append(buffer_.data(), chunk->size);
      quiet = chunk && (chunk->begins || chunk->size > 0) ? 0 : quiet + 1;
    }
    return seen;
  }
  [[nodiscard]] const FileTail& tail() const { return tail_; }

  std::string error;

 private:
  FileTail tail_;
  std::vector<char> buffer_;
};

class FileTailTest : public testing::Test {
 protected:
  static FileTailOptions options(FileTailOptions::Start start = FileTailOptions::Start::beginning,
                                 bool text = false) {
    return {start, text, std::chrono::milliseconds(0)};
  }
  [[nodiscard]] FileTail tail(
      FileTailOptions::Start start = FileTailOptions::Start::beginning) const {
    return FileTail(path, options(start));
  }
  /// Writes at a place in the file, as a writer does that keeps its own position.
  void write_at(std::uint64_t offset, std::string_view bytes) const {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }
  void truncate(std::uint64_t size) const { std::filesystem::resize_file(path, size); }

  test::TempDir dir;
  std::string path = dir / "trace";
};

TEST_F(FileTailTest, ReadsWhatIsThereAndWhatIsAppendedInAnyPieces) {
  write_file(path, "one");
  for (const std::size_t piece : {1U, 2U, 100U}) {
    write_file(path, "one");
    Reader reader(tail(), piece);
    EXPECT_EQ(reader.poll(), "|one");
    EXPECT_EQ(reader.poll(), "");
    append_file(path, "t");
    EXPECT_EQ(reader.poll(), "t");
    append_file(path, "wo, three");
    EXPECT_EQ(reader.poll(), "wo, three");
    EXPECT_EQ(reader.tail().lag(), 0U);
  }
}

TEST_F(FileTailTest, LagIsWhatIsStillToBeRead) {
  write_file(path, std::string(100, 'x'));
  FileTail tail = this->tail();
  std::array<char, 30> buffer{};

  ASSERT_TRUE(tail.read(buffer)->begins);
  ASSERT_EQ(tail.read(buffer)->size, 30U);

  EXPECT_EQ(tail.offset(), 30U);
  EXPECT_EQ(tail.size(), 100U);
  EXPECT_EQ(tail.lag(), 70U);
}

TEST_F(FileTailTest, StartsAtTheEndWhenAskedTo) {
  write_file(path, "old\n");
  Reader reader(tail(FileTailOptions::Start::end));

  EXPECT_EQ(reader.poll(), "");
  append_file(path, "new\n");
  EXPECT_EQ(reader.poll(), "|new\n");
  EXPECT_EQ(reader.tail().stream_start(), 4U);
}

TEST_F(FileTailTest, NoticesATruncationBeforeAnythingWasRead) {
  write_file(path, "old and long\n");
  Reader reader(tail(FileTailOptions::Start::end));
  EXPECT_EQ(reader.poll(), "");

  write_file(path, "new and even longer\n");

  EXPECT_EQ(reader.poll(), "|new and even longer\n");
  EXPECT_EQ(reader.tail().truncations(), 1U);
}

TEST_F(FileTailTest, WaitsForAPathThatDoesNotExistYetAndThenReadsAllOfIt) {
  Reader reader(tail(FileTailOptions::Start::end));
  EXPECT_EQ(reader.poll(), "");
  EXPECT_FALSE(reader.tail().is_open());
  EXPECT_EQ(reader.error, "");

  write_file(path, "first");

  EXPECT_EQ(reader.poll(), "|first");
}

TEST_F(FileTailTest, FollowsARenameAfterDrainingTheOldFile) {
  write_file(path, "1");
  Reader reader(tail());
  EXPECT_EQ(reader.poll(), "|1");

  std::filesystem::rename(path, path + ".1");
  append_file(path + ".1", "2");
  write_file(path, "3");
  append_file(path + ".1", "4");
  EXPECT_EQ(reader.poll(), "24|3");
  append_file(path, "5");
  EXPECT_EQ(reader.poll(), "5");

  EXPECT_EQ(reader.tail().replacements(), 1U);
  EXPECT_EQ(reader.tail().truncations(), 0U);
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(reader.tail().inode(), status.st_ino);
}

TEST_F(FileTailTest, StaysWithAWriterThatNeverReopens) {
  write_file(path, "1");
  Reader reader(tail());
  EXPECT_EQ(reader.poll(), "|1");

  std::filesystem::rename(path, path + ".1");
  write_file(path, "");
  EXPECT_EQ(reader.poll(), "");
  append_file(path + ".1", "2");
  EXPECT_EQ(reader.poll(), "2");
}

TEST_F(FileTailTest, WaitsUntilTheOldFileIsQuiet) {
  FileTailOptions patient;
  patient.quiet = std::chrono::hours(1);
  write_file(path, "1");
  Reader reader{FileTail(path, patient)};
  EXPECT_EQ(reader.poll(), "|1");

  std::filesystem::rename(path, path + ".1");
  write_file(path, "3");
  EXPECT_EQ(reader.poll(), "");
  append_file(path + ".1", "2");
  EXPECT_EQ(reader.poll(), "2");
}

TEST_F(FileTailTest, ReadsADeletedFileOnAndThenWhatReappears) {
  write_file(path, "1");
  const UniqueFd writer(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  Reader reader(tail());
  EXPECT_EQ(reader.poll(), "|1");

  std::filesystem::remove(path);
  ASSERT_EQ(::write(writer.get(), "2", 1), 1);
  EXPECT_EQ(reader.poll(), "2");
  write_file(path, "3");
  EXPECT_EQ(reader.poll(), "|3");
}

TEST_F(FileTailTest, StartsOverAfterATruncation) {
  write_file(path, "long content");
  Reader reader(tail());
  EXPECT_EQ(reader.poll(), "|long content");

  write_file(path, "short");

  EXPECT_EQ(reader.poll(), "|short");
  EXPECT_EQ(reader.tail().truncations(), 1U);
}

TEST_F(FileTailTest, NoticesATruncatedFileThatGrewPastItsPlaceBetweenTwoPolls) {
  for (const std::size_t size : {1U, 63U, 64U, 65U, 5000U}) {
    write_file(path, std::string(size, 'a'));
    Reader reader(tail(), 7);
    EXPECT_EQ(reader.poll(), "|" + std::string(size, 'a'));

    const std::string grown = std::string(size, 'b') + "c";
    write_file(path, grown);

    EXPECT_EQ(reader.poll(), "|" + grown) << size;
    EXPECT_EQ(reader.tail().truncations(), 1U);
  }
}

TEST_F(FileTailTest, NoticesATruncatedFileThatGrewToTheSameSize) {
  write_file(path, "aaaa");
  Reader reader(tail());
  EXPECT_EQ(reader.poll(), "|aaaa");

  // The time of the change tells, which the kernel keeps in steps of some milliseconds.
  std::string seen;
  EXPECT_TRUE(test::wait_until([&] {
    write_file(path, "bbbb");
    seen = reader.poll();
    return !seen.empty();
  }));

  EXPECT_EQ(seen, "|bbbb");
}

TEST_F(FileTailTest, SkipsTheHoleThatCopytruncateLeaves) {
  const std::string first(100'000, 'a');
  write_file(path, first);
  for (const bool polled_in_between : {true, false}) {
    write_file(path, first);
    Reader reader{FileTail(path, options(FileTailOptions::Start::beginning, true))};
    EXPECT_EQ(reader.poll(), "|" + first);

    truncate(0);
    EXPECT_EQ(polled_in_between ? reader.poll() : "", "");
    write_at(first.size(), "next\n");

    EXPECT_EQ(reader.poll(), "|next\n");
    EXPECT_EQ(reader.tail().stream_start(), first.size());
    write_at(first.size() + 5, "more\n");
    EXPECT_EQ(reader.poll(), "more\n");
  }
}

TEST_F(FileTailTest, InABinaryFileTheStreamBeginsAtTheFirstBlockWithData) {
  write_at(1'000'000, "data");
  Reader reader(tail());

  const std::string seen = reader.poll();

  EXPECT_THAT(seen, testing::StartsWith("|"));
  EXPECT_THAT(seen, testing::EndsWith("data"));
  EXPECT_EQ(reader.tail().stream_start() + seen.size() - 1, 1'000'004U);
}

TEST_F(FileTailTest, AFileThatIsAllHoleHasNoBytesYet) {
  write_file(path, "");
  truncate(1 << 20);
  Reader reader(tail());

  EXPECT_EQ(reader.poll(), "");
  write_at(1 << 20, "data");
  EXPECT_EQ(reader.poll(), "|data");
}

TEST_F(FileTailTest, PassesOverMegabytesOfNulsInText) {
  write_file(path, std::string(9 << 20, '\0') + "line\n");
  Reader reader{FileTail(path, options(FileTailOptions::Start::beginning, true))};

  EXPECT_EQ(reader.poll(), "|line\n");
}

TEST_F(FileTailTest, KeepsItsPlaceWhenWhatWasReadIsPunchedOut) {
  write_file(path, std::string(200'000, 'a'));
  Reader reader(tail());
  reader.poll();
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 192 * 1024) != 0)
    GTEST_SKIP() << "no holes on this file system";

  EXPECT_EQ(reader.poll(), "");
  append_file(path, "b");
  EXPECT_EQ(reader.poll(), "b");
}

TEST_F(FileTailTest, ReadsAnOpenFileWithoutAPath) {
  UniqueFd memory(::memfd_create("trace", MFD_CLOEXEC));
  const UniqueFd writer(::dup(memory.get()));
  Reader reader{FileTail(std::move(memory), "the trace of vm1", options())};

  EXPECT_EQ(reader.poll(), "");
  ASSERT_EQ(::pwrite(writer.get(), "abc", 3, 0), 3);
  EXPECT_EQ(reader.poll(), "|abc");
  ASSERT_EQ(::ftruncate(writer.get(), 0), 0);
  ASSERT_EQ(::pwrite(writer.get(), "d", 1, 0), 1);
  EXPECT_EQ(reader.poll(), "|d");
}

TEST_F(FileTailTest, RefusesWhatIsNoRegularFileWithoutBlocking) {
  ASSERT_EQ(::mkfifo(path.c_str(), 0644), 0);
  Reader fifo(tail());
  Reader directory{FileTail(dir.path().string(), options())};
  Reader device{FileTail("/dev/zero", options())};

  fifo.poll();
  directory.poll();
  device.poll();

  EXPECT_EQ(fifo.error, path +
                            ": is a FIFO, and a slow reader of a FIFO stalls the guest; let QEMU "
                            "write to a regular file");
  EXPECT_EQ(directory.error, dir.path().string() + ": is a directory; name the trace file in it");
  EXPECT_EQ(device.error, "/dev/zero: is not a regular file; let QEMU write to a regular file");
}

TEST_F(FileTailTest, SaysWhatToDoWhenItMayNotReadAndGoesOnWhenItMay) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  write_file(path, "x");
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  Reader reader(tail());

  reader.poll();
  EXPECT_EQ(reader.error, path +
                              ": cannot open it: Permission denied; allow this process's user to "
                              "read the file and to search its directories");
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  EXPECT_EQ(reader.poll(), "|x");
}

TEST_F(FileTailTest, AnErrorAtThePathDoesNotStopTheOpenFile) {
  write_file(path, "1");
  const UniqueFd writer(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  Reader reader(tail());
  EXPECT_EQ(reader.poll(), "|1");
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);

  ASSERT_EQ(::write(writer.get(), "2", 1), 1);
  EXPECT_EQ(reader.poll(), "2");
  EXPECT_THAT(reader.error, HasSubstr("is a directory"));
  std::filesystem::remove(path);
  write_file(path, "3");
  EXPECT_EQ(reader.poll(), "|3");
}

TEST_F(FileTailTest, LosesAndRepeatsNothingWhileAnotherThreadWritesAndRotates) {
  constexpr int numbers = 20'000;
  std::atomic<bool> done = false;
  std::thread writer([&] {
    UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    for (int i = 0; i < numbers; ++i) {
      const std::string line = std::to_string(i) + "\n";
      if (::write(file.get(), line.data(), line.size()) < 0) break;
      if (i % 1000 != 999 || i == numbers - 1) continue;
      // The next rotation comes only when the last file was taken up: one that is gone before could
      // not be found.
      std::filesystem::rename(path, path + "." + std::to_string(i));
      file.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    }
    done = true;
  });
  FileTail tail = this->tail();
  std::array<char, 1000> buffer{};
  std::string seen;
  std::uint64_t files = 0;

  // Renamed files that the tail never saw at the path are missing, so only what it did see must be
  // whole and in order.
  EXPECT_TRUE(test::wait_until([&] {
    for (int i = 0; i < 100; ++i) {
      const auto chunk = tail.read(buffer);
      if (!chunk) return true;
      files += chunk->begins ? 1 : 0;
      seen.append(buffer.data(), chunk->size);
      if (chunk->size == 0 && !chunk->begins && done && seen.ends_with("19999\n")) return true;
    }
    return false;
  }));
  writer.join();

  int last = -1;
  std::istringstream lines(seen);
  for (int number = 0; lines >> number; last = number) {
    ASSERT_TRUE(number == last + 1 || (number > last && number % 1000 == 0))
        << number << " after " << last;
  }
  EXPECT_EQ(last, numbers - 1);
  EXPECT_EQ(files, tail.replacements() + 1);
}

}  // namespace
}  // namespace qemon::trace
