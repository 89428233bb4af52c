#include "base/file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon {
namespace {

constexpr std::size_t mebibyte = 1 << 20;

TEST(ReadFile, TakesAllOfIt) {
  const test::TempDir directory;
  const std::string text = std::string(200'000, 'x') + '\0' + "y";
  test::write_file(directory / "file", text);
  test::write_file(directory / "empty", "");

  EXPECT_EQ(*read_file(directory / "file", mebibyte), text);
  EXPECT_EQ(*read_file(directory / "empty", mebibyte), "");
  // Its size is only known when it has been read.
  EXPECT_NE(read_file("/proc/self/status", mebibyte)->find("VmRSS"), std::string::npos);
}

TEST(ReadFile, RefusesWhatWouldHoldUsUp) {
  const test::TempDir directory;
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  test::write_file(directory / "large", std::string(mebibyte + 1, 'x'));

  EXPECT_EQ(read_file(directory / "fifo", mebibyte).error().detail, "is no regular file");
  EXPECT_EQ(read_file(directory.path().string(), mebibyte).error().detail, "is no regular file");
  EXPECT_EQ(read_file(directory / "large", mebibyte).error().detail, "is larger than 1 MiB");
  EXPECT_FALSE(read_file(directory / "large", mebibyte).error().code);
  EXPECT_EQ(read_file(directory / "none", mebibyte).error().code,
            std::errc::no_such_file_or_directory);
}

}  // namespace
}  // namespace qemon
