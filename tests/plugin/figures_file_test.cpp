#include "plugin/figures_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.hpp"

namespace qemon::plugin {
namespace {

using ::testing::HasSubstr;

class FiguresFileTest : public ::testing::Test {
 protected:
  Options options() {
    Options told;
    told.path = path_.c_str();
    told.block_capacity = 1024;
    return told;
  }
  /// What it says on standard error.
  std::string refusal() {
    ::testing::internal::CaptureStderr();
    FiguresFile file;
    EXPECT_FALSE(make_figures_file(options(), Header{}, 2, file));
    return ::testing::internal::GetCapturedStderr();
  }

  test::TempDir folder_;
  std::string path_ = (folder_.path() / "web1.tcg").string();
};

TEST_F(FiguresFileTest, HasRoomForEverythingAtOnce) {
  FiguresFile file;
  ASSERT_TRUE(make_figures_file(options(), Header{}, 3, file));

  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(static_cast<std::size_t>(status.st_size),
            sizeof(Header) + 3 * sizeof(Vcpu) + 1024 * sizeof(Block));
  EXPECT_GE(status.st_blocks * 512, status.st_size);
  EXPECT_EQ(file.header->pid, static_cast<std::uint64_t>(getpid()));
  munmap(file.header, file.bytes);
}

TEST_F(FiguresFileTest, ReplacesWhatAnEarlierQemuLeft) {
  FiguresFile first, second;
  ASSERT_TRUE(make_figures_file(options(), Header{}, 1, first));
  first.header->flushes = 7;
  munmap(first.header, first.bytes);

  ASSERT_TRUE(make_figures_file(options(), Header{}, 1, second));

  EXPECT_EQ(second.header->flushes, 0U);
  munmap(second.header, second.bytes);
}

TEST_F(FiguresFileTest, LeavesAlone) {
  std::ofstream(path_) << "somebody's notes";
  EXPECT_THAT(refusal(), HasSubstr("is not a file of this plugin: choose another path"));
  std::filesystem::remove(path_);

  std::filesystem::create_symlink("elsewhere", path_);
  EXPECT_THAT(refusal(), HasSubstr("Too many levels of symbolic links"));
  std::filesystem::remove(path_);

  std::filesystem::create_directory(path_);
  EXPECT_THAT(refusal(), HasSubstr("is not a file of this plugin"));
  std::filesystem::remove(path_);

  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(refusal(), HasSubstr("is not a file of this plugin"));
}

TEST_F(FiguresFileTest, IsNotTakenFromAQemuThatLives) {
  FiguresFile file;
  ASSERT_TRUE(make_figures_file(options(), Header{}, 1, file));

  EXPECT_THAT(refusal(), HasSubstr("is in use by another QEMU: choose another path"));
  // Nothing half made stays.
  const std::filesystem::directory_iterator files(folder_.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
  munmap(file.header, file.bytes);
}

TEST_F(FiguresFileTest, OfAChildIsNotTheParents) {
  FiguresFile file;
  ASSERT_TRUE(make_figures_file(options(), Header{}, 1, file));
  file.header->flushes = 1;

  const pid_t child = fork();
  if (child == 0) {
    make_private(file);
    ++file.header->flushes;
    file.vcpus[0].instructions = 9;
    _exit(file.header->flushes == 2 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);

  EXPECT_EQ(status, 0);
  EXPECT_EQ(file.header->flushes, 1U);
  EXPECT_EQ(file.vcpus[0].instructions, 0U);
  munmap(file.header, file.bytes);
}

}  // namespace
}  // namespace qemon::plugin
