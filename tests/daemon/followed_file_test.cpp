#include "daemon/followed_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "plugin/shared_figures.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

std::string mistake_in(const std::string& text) {
  const auto parsed = parse_followed_file(text);
  return parsed ? "none" : parsed.error().detail;
}

TEST(FollowedFile, ReadsAllOptionsAndWritesThemBack) {
  const std::string text = "file:/tmp/a,,b.log,backend=exec-log,pid=12,from=beginning";

  const auto file = parse_followed_file(text);

  ASSERT_TRUE(file) << file.error().detail;
  EXPECT_EQ(file->path, "/tmp/a,b.log");
  EXPECT_EQ(file->format, trace::TraceFormat::exec_log);
  EXPECT_EQ(file->pid, 12);
  EXPECT_TRUE(file->from_beginning);
  EXPECT_EQ(to_string(*file), text);
}

TEST(FollowedFile, ReadsOneOfATcgPlugin) {
  const auto file = parse_followed_file("file:/run/vms/web1.tcg,backend=tcg-plugin");

  ASSERT_TRUE(file) << file.error().detail;
  EXPECT_TRUE(file->is_plugin);
  EXPECT_EQ(to_string(*file), "file:/run/vms/web1.tcg,backend=tcg-plugin");
}

TEST(FollowedFile, TellsWhatIsWrongWithAnAddress) {
  const std::string form =
      "write file:PATH[,backend=simple|log|exec-log|tcg-plugin][,pid=PID][,from=beginning|end], "
      "with "
      "each comma of the path twice";
  EXPECT_EQ(mistake_in("file:"), "address \"file:\": the path is missing; " + form);
  EXPECT_EQ(mistake_in("file:/a,pid"), "address \"file:/a,pid\": " + form);
  EXPECT_EQ(mistake_in("file:a.log"), "address \"file:a.log\": give an absolute path, without ..");
  EXPECT_EQ(mistake_in("file:/a,backend=text"),
            "address \"file:/a,backend=text\": backend: there is no \"text\": write simple, log, "
            "exec-log or tcg-plugin");
  EXPECT_EQ(mistake_in("file:/a,pid=-1"),
            "address \"file:/a,pid=-1\": pid: \"-1\" is no process id");
  EXPECT_EQ(mistake_in("file:/a,from=here"),
            "address \"file:/a,from=here\": from: write beginning or end");
  EXPECT_EQ(mistake_in("file:/a,speed=1"),
            "address \"file:/a,speed=1\": \"speed\" is unknown: there are backend, pid and from");
}

class IdentifiedFile : public testing::Test {
 protected:
  Result<FollowedFile> identify_text(const std::string& text) {
    test::write_file(path_, text);
    FollowedFile file;
    file.path = path_;
    return identify(file);
  }

  test::TempDir folder_;
  std::string path_ = folder_ / "trace";
};

TEST_F(IdentifiedFile, IsWhatItsBeginningShows) {
  EXPECT_EQ(identify_text(std::string(8, '\xff'))->format, trace::TraceFormat::simple);
  EXPECT_EQ(identify_text("some line\n")->format, trace::TraceFormat::log);
  EXPECT_TRUE(identify_text(std::string(plugin::file_magic.begin(), plugin::file_magic.end()) +
                            std::string(4096, '\0'))
                  ->is_plugin);
}

TEST_F(IdentifiedFile, IsReadBehindTheHoleThatATruncationLeft) {
  EXPECT_EQ(identify_text(std::string(5000, '\0') + "Trace 0: 0x7f [0/401000/0/0] \n")->format,
            trace::TraceFormat::exec_log);
}

TEST_F(IdentifiedFile, IsALogWhenItsFirstLineIsTooLongToTell) {
  EXPECT_EQ(identify_text(std::string(trace::guess_bytes, 'x'))->format, trace::TraceFormat::log);
}

TEST_F(IdentifiedFile, IsWhatItWasSaidToBe) {
  test::write_file(path_, "");
  FollowedFile file;
  file.path = path_;
  file.format = trace::TraceFormat::simple;

  EXPECT_EQ(identify(file)->format, trace::TraceFormat::simple);
}

TEST_F(IdentifiedFile, MayComeLater) {
  FollowedFile file;
  file.path = path_;

  const auto missing = identify(file);
  const auto empty = identify_text("");

  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().detail, path_ + ": is not there yet");
  EXPECT_EQ(missing.error().code, std::errc::no_such_file_or_directory);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().detail, path_ + ": nothing is in it yet that tells what it is");
  EXPECT_EQ(empty.error().code, std::errc::no_message_available);
}

TEST_F(IdentifiedFile, IsNotOneOfTheKernels) {
  FollowedFile file;
  file.path = "/proc/version";

  const auto of_kernel = identify(file);

  ASSERT_FALSE(of_kernel);
  EXPECT_EQ(of_kernel.error().detail,
            "/proc/version: is the kernel's, and reading it may take away what others want to "
            "read");
}

TEST_F(IdentifiedFile, LeavesAWriterOfAPipeAlone) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  FollowedFile file;
  file.path = path_;

  EXPECT_FALSE(identify(file));

  // Nobody has opened it for reading.
  EXPECT_EQ(::open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
  EXPECT_EQ(errno, ENXIO);
}

TEST_F(IdentifiedFile, IsARegularOne) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  FollowedFile file;
  file.path = path_;

  const auto pipe = identify(file);

  ASSERT_FALSE(pipe);
  EXPECT_EQ(pipe.error().detail,
            path_ +
                ": is no regular file, and only such a one can be followed: have QEMU write to "
                "a file");
}

}  // namespace
}  // namespace qemon::daemon
