#include "daemon/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;
using test::read_file;
using test::TempDir;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

JournalEntry full_entry() {
  JournalEntry entry;
  entry.address = "unix:/run/vms/web1.qmp";
  entry.vm = "web1";
  entry.boot = boot_id();
  entry.attached_by_command = true;
  entry.process = JournaledProcess{4711, 123456789};
  entry.threads = {4712, 4713};
  entry.on = {"a", "b"};
  entry.about_to_be_on = {"c"};
  entry.off_by_others = {"d"};
  entry.tripped = {{"e", "too much"}};
  entry.trace = {true, "/proc/self/fd/2", true, "trace-4711"};
  entry.collecting.latency_histograms = {"vd0"};
  entry.collecting.plugin_level =
      JournaledPluginLevel{"/run/vms/web1.tcg", 0, 3, BootClock::time_point(1h)};
  JournaledLease forever;
  forever.id = 7;
  forever.pack = "irq";
  forever.user = "configuration";
  forever.since = BootClock::time_point(5s);
  JournaledLease limited;
  limited.id = 8;
  limited.patterns = {"virtio_*"};
  limited.user = "alice";
  limited.uid = 1000;
  limited.since = BootClock::time_point(6s);
  limited.until = BootClock::time_point(1h);
  limited.events = {"a"};
  limited.sampling = Sampling{std::chrono::milliseconds(20), std::chrono::seconds(1)};
  entry.leases = {forever, limited};
  return entry;
}

class JournalTest : public testing::Test {
 protected:
  Journal open() {
    auto journal = Journal::open(directory.path().string());
    if (!journal) throw std::runtime_error(journal.error().detail);
    return std::move(*journal);
  }
  [[nodiscard]] std::string error_of_open() const {
    const auto journal = Journal::open(directory.path().string());
    return journal ? "" : journal.error().detail;
  }
  [[nodiscard]] std::string file() const {
    return directory / ("journal/" + journal_file_name(full_entry().address));
  }

  TempDir directory;
};

TEST_F(JournalTest, GivesBackWhatWasWritten) {
  {
    auto journal = open();
    ASSERT_TRUE(journal.write(full_entry()));
  }

  const auto contents = open().read();

  EXPECT_THAT(contents.entries, ElementsAre(full_entry()));
  EXPECT_THAT(contents.refused, IsEmpty());
}

TEST_F(JournalTest, ReplacesAnEntryAndForgetsOne) {
  auto journal = open();
  auto entry = full_entry();
  ASSERT_TRUE(journal.write(entry));
  entry.on = {"z"};

  ASSERT_TRUE(journal.write(entry));

  EXPECT_THAT(journal.read().entries, ElementsAre(entry));
  ASSERT_TRUE(journal.remove(entry.address));
  EXPECT_THAT(journal.read().entries, IsEmpty());
  EXPECT_TRUE(journal.remove(entry.address));
}

TEST_F(JournalTest, IsForItsOwnerOnly) {
  ::mkdir((directory / "journal").c_str(), 0755);

  auto journal = open();
  ASSERT_TRUE(journal.write(full_entry()));

  struct stat about {};
  ASSERT_EQ(::stat((directory / "journal").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0700U);
  ASSERT_EQ(::stat(file().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
}

TEST_F(JournalTest, RefusesWhatItCannotReadAndReadsTheRest) {
  auto journal = open();
  ASSERT_TRUE(journal.write(full_entry()));
  const std::string text = read_file(file());
  const std::string folder = directory / "journal/";
  write_file(folder + "0.json", "garbage \xff\x00 {");
  write_file(folder + "1.json", "");
  write_file(folder + "2.json", R"({"version":99})");
  write_file(folder + "3.json", R"({"version":1,"address":7})");
  write_file(folder + "4.json", text);
  write_file(folder + "5.json", text.substr(0, text.size() / 2));
  write_file(folder + "6.json", std::string(1000, '['));
  write_file(directory / "elsewhere", text);
  std::filesystem::create_symlink(directory / "elsewhere", folder + "7.json");
  std::filesystem::create_directory(folder + "8.json");
  ASSERT_EQ(::mkfifo((folder + "9.json").c_str(), 0600), 0);

  const auto contents = journal.read();

  EXPECT_EQ(contents.entries.size(), 1U);
  EXPECT_THAT(
      contents.refused,
      ElementsAre(HasSubstr("0.json: is no journal"), HasSubstr("1.json: is no journal"),
                  HasSubstr("2.json: is of another version"), HasSubstr("3.json: \"address\""),
                  HasSubstr("4.json: is about unix:/run/vms/web1.qmp"),
                  HasSubstr("5.json: is no journal"), HasSubstr("6.json: is no journal"),
                  HasSubstr("7.json: is a symbolic link"), HasSubstr("8.json: is no file"),
                  HasSubstr("9.json: is no file")));
}

TEST_F(JournalTest, RefusesFilesOfOtherUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give a file away";
  auto journal = open();
  ASSERT_TRUE(journal.write(full_entry()));
  ASSERT_EQ(::chown(file().c_str(), 12345, 12345), 0);

  const auto contents = journal.read();

  EXPECT_THAT(contents.entries, IsEmpty());
  EXPECT_THAT(contents.refused, ElementsAre(HasSubstr("belongs to user 12345")));
}

TEST_F(JournalTest, RefusesAFolderOfAnotherUserAndASymbolicLink) {
  std::filesystem::create_directory(directory / "other");
  std::filesystem::create_directory_symlink(directory / "other", directory / "journal");
  EXPECT_THAT(error_of_open(), HasSubstr("journal: is a symbolic link or no folder: remove it"));

  std::filesystem::remove(directory / "journal");
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to give a folder away";
  std::filesystem::create_directory(directory / "journal");
  ASSERT_EQ(::chown((directory / "journal").c_str(), 12345, 12345), 0);
  EXPECT_THAT(error_of_open(), HasSubstr("belongs to user 12345"));
}

TEST_F(JournalTest, LetsRootRestoreWhatAnotherUsersDaemonLeft) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  {
    auto journal = open();
    ASSERT_TRUE(journal.write(full_entry()));
  }
  ASSERT_EQ(::chown((directory / "journal").c_str(), 12345, 12345), 0);
  ASSERT_EQ(::chown(file().c_str(), 12345, 12345), 0);

  auto journal = Journal::open_left(directory.path().string());

  ASSERT_TRUE(journal) << journal.error().detail;
  EXPECT_EQ(journal->read().entries.size(), 1U);
}

TEST_F(JournalTest, IsUsedByOneAtATime) {
  const auto first = open();

  EXPECT_THAT(error_of_open(), HasSubstr("a qemond or a qemon restore is using it"));
}

TEST_F(JournalTest, SaysThatThereIsNoneWithoutMakingOne) {
  const auto journal = Journal::open_left(directory.path().string());

  ASSERT_FALSE(journal);
  EXPECT_EQ(journal.error().code, std::errc::no_such_file_or_directory);
  EXPECT_FALSE(std::filesystem::exists(directory / "journal"));
}

TEST_F(JournalTest, GivesNoLeaseIdTwice) {
  std::uint64_t last = 0;
  for (int life = 0; life < 3; ++life) {
    auto journal = open();
    for (int i = 0; i < 2; ++i) {
      const auto id = journal.next_lease_id();
      EXPECT_GT(id, last);
      last = id;
    }
  }
  EXPECT_EQ(last, 6U);
}

TEST_F(JournalTest, GivesNoIdOfALeaseThatItHolds) {
  auto journal = open();
  ASSERT_TRUE(journal.write(full_entry()));
  write_file(directory / "journal/last-lease-id", "garbage");

  ASSERT_EQ(journal.read().entries.size(), 1U);

  EXPECT_EQ(journal.next_lease_id(), 9U);
}

TEST_F(JournalTest, OverwritesALinkInItsPlaceWithoutFollowingIt) {
  auto journal = open();
  write_file(directory / "victim", "precious");
  std::filesystem::create_symlink(directory / "victim", file());
  std::filesystem::create_symlink(
      directory / "victim", directory / ("journal/." + journal_file_name(full_entry().address)));

  ASSERT_TRUE(journal.write(full_entry()));

  EXPECT_EQ(read_file(directory / "victim"), "precious");
  EXPECT_EQ(journal.read().entries.size(), 1U);
}

TEST(JournalEntry, ReadsNoPathThatQemuWouldEmptyAndNoControlCharacters) {
  auto entry = full_entry();
  entry.trace.log_restore = "/etc/passwd";
  EXPECT_THAT(parse_journal_entry(to_text(entry)).error().detail, HasSubstr("log_restore"));

  entry = full_entry();
  entry.trace.trace_file = "a\nquit";
  EXPECT_THAT(parse_journal_entry(to_text(entry)).error().detail, HasSubstr("trace_file"));

  entry = full_entry();
  entry.process->pid = -1;
  EXPECT_THAT(parse_journal_entry(to_text(entry)).error().detail, HasSubstr("pid"));
}

TEST(JournalEntry, ReadsNamesWithBracketsBack) {
  auto entry = full_entry();
  entry.trace.trace_file = std::string(100, '[');
  entry.vm = std::string(100, '}');

  EXPECT_EQ(parse_journal_entry(to_text(entry)).value(), entry);
}

TEST(JournalEntry, ReadsNoNumberThatCannotBe) {
  const std::string text = to_text(full_entry());
  for (const auto& [number, wrong] : std::initializer_list<std::pair<std::string, std::string>>{
           {"\"pid\": 4711", "\"pid\": 4294972007"},  // 4711 in 32 bits.
           {"\"uid\": 1000", "\"uid\": 4294967296"},
           {"\"id\": 7", "\"id\": -1"},
           {"\"since\": 5000000000", "\"since\": 18446744073709551615"},
           {"\"since\": 5000000000", "\"since\": -1"},
           {"\"until\": 3600000000000", "\"until\": 9223372036854775807"},
           {"4713", "4294972009"}}) {
    auto broken = text;
    const auto at = broken.find(number);
    ASSERT_NE(at, std::string::npos) << number;
    broken.replace(at, number.size(), wrong);

    EXPECT_FALSE(parse_journal_entry(broken)) << wrong;
  }
}

TEST(JournalEntry, ReadsNoEntryOfWhichAMemberIsMissing) {
  const std::string text = to_text(full_entry());
  for (const char* member : {"address", "vm", "boot", "on", "leases", "threads", "trace", "pid",
                             "since", "until", "uid", "log_away", "attached_by_command"}) {
    auto broken = text;
    const auto at = broken.find("\"" + std::string(member) + "\":");
    ASSERT_NE(at, std::string::npos) << member;
    broken[at + 1] = '_';

    EXPECT_FALSE(parse_journal_entry(broken)) << member;
  }
}

TEST(JournalEntry, IsNeededWhileSomethingOfOursIsThere) {
  JournalEntry entry;
  entry.process = JournaledProcess{1, 2};
  EXPECT_FALSE(entry.needed());
  entry.trace.log_away = true;
  EXPECT_TRUE(entry.changed_qemu());
  entry.trace = {};
  entry.leases.emplace_back();
  EXPECT_TRUE(entry.needed());
  EXPECT_FALSE(entry.changed_qemu());
}

}  // namespace
}  // namespace qemon::daemon
