#include "daemon/syslog_source.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "daemon/elf_names.hpp"
#include "tests/sources/source_fixture.hpp"

namespace qemon::daemon {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SyslogFile : public test::SourceTest {
 protected:
  SyslogFile() : path(folder / "syslog") {}
  void log(const std::string& rest) {
    test::write_file(path, "2026-11-26T06:08:26.540085+00:00 vm " + rest + "\n");
  }
  static std::string us(const std::string& text) {
    return "qemu-system-x86_64[" + std::to_string(::getpid()) + "]: " + text;
  }

  std::string path;
};

TEST_F(SyslogFile, OurLinesAreReadFromItsEnd) {
  log(us("one a 1"));
  SyslogFileSource source(options(), path);
  ASSERT_TRUE(test::run(context, source.start()));

  log(us("one a 5"));
  log("qemu-system-x86_64[1]: one a 6");
  log("rsyslogd: imuxsock[pid: " + std::to_string(::getpid()) +
      ", name: qemu]: 29 messages lost due to rate-limiting");
  log(us("two "));
  ASSERT_TRUE(sees(source, 3));

  EXPECT_THAT(seen, ElementsAre("one [a 5]", "lost 29", "two []"));
  EXPECT_EQ(source.clock(), CLOCK_REALTIME);
  EXPECT_EQ(source.place(), path);
  EXPECT_THAT(source.problems(), IsEmpty());
}

TEST_F(SyslogFile, WithoutTimesIsSaidToHaveNone) {
  test::write_file(path, "");
  SyslogFileSource source(options(), path);
  ASSERT_TRUE(test::run(context, source.start()));

  test::write_file(path, "Nov 26 06:08:26 vm " + us("one a 5") + "\n");
  ASSERT_TRUE(sees(source, 1));

  EXPECT_FALSE(source.clock());
  EXPECT_THAT(all(source.problems()), HasSubstr("RSYSLOG_FileFormat"));
}

TEST_F(SyslogFile, IsFollowedWhenItIsRotated) {
  test::write_file(path, "");
  SyslogFileSource source(options(), path);
  ASSERT_TRUE(test::run(context, source.start()));
  log(us("one a 5"));
  ASSERT_TRUE(sees(source, 1));

  std::filesystem::rename(path, path + ".1");
  log(us("two "));
  ASSERT_TRUE(sees(source, 2));

  EXPECT_THAT(seen, ElementsAre("one [a 5]", "two []"));
}

TEST_F(SyslogFile, ThatCannotBeFollowedIsNamed) {
  std::filesystem::create_directory(folder / "directory");
  for (const auto& [name, words] : {std::pair("missing", "No such file or directory"),
                                    std::pair("directory", "no regular file")}) {
    SyslogFileSource source(options(), folder / name);

    const auto started = test::run(context, source.start());

    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().detail, HasSubstr(folder / name));
    EXPECT_THAT(started.error().detail, HasSubstr(words));
    EXPECT_THAT(started.error().detail, HasSubstr("--backend unit-test=syslog:FILE"));
  }
}

TEST_F(SyslogFile, OfAQemuInAContainerIsKnownByItsOwnId) {
  test::write_file(path, "");
  auto given = options();
  given.process.own_id = 7;
  SyslogFileSource source(std::move(given), path);
  ASSERT_TRUE(test::run(context, source.start()));

  log("qemu-system-x86_64[7]: one a 5");
  ASSERT_TRUE(sees(source, 1));

  EXPECT_THAT(all(source.problems()), HasSubstr("process id 7"));
}

/// A program that prints what journalctl would, and notes what it was asked for. That of systemd is
/// followed by the tests in Python.
class Journal : public test::SourceTest {
 protected:
  std::string program(const std::string& prints) {
    auto path = folder / "journalctl";
    test::write_file(path, "#!/bin/sh\necho \"$*\" >>'" + folder / "asked" + "'\n" + prints);
    ::chmod(path.c_str(), 0700);
    return path;
  }
  static std::string entry(const std::string& cursor, const std::string& message) {
    return "printf '%s\\n' '__CURSOR=" + cursor +
           "' '__REALTIME_TIMESTAMP=1795673306540200' 'MESSAGE=" + message +
           "' '_PID=" + std::to_string(::getpid()) + "' ''\n";
  }
  std::string asked() {
    std::ifstream file(folder / "asked");
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(Journal, IsAskedForWhatThisProcessWritesFromNowOn) {
  JournalSource source(options(), program(entry("c1", "one a 5") + entry("c2", "hello") +
                                          entry("c3", "two ") + "exec sleep 1000\n"));
  ASSERT_TRUE(test::run(context, source.start()));

  ASSERT_TRUE(sees(source, 2));

  EXPECT_THAT(seen, ElementsAre("one [a 5]", "two []"));
  EXPECT_EQ(last_ns, 1795673306540200000);
  EXPECT_EQ(source.clock(), CLOCK_REALTIME);
  EXPECT_THAT(asked(), HasSubstr("--follow --no-tail --quiet --output=export"));
  EXPECT_THAT(asked(), HasSubstr(" --since=@"));
  EXPECT_THAT(asked(), HasSubstr(" _PID=" + std::to_string(::getpid()) + " + _TRANSPORT=driver"));
  EXPECT_THAT(source.problems(), IsEmpty());
  test::run(context, source.stop());
}

TEST_F(Journal, GoesOnBehindTheLastEntryWhenItsReaderEnds) {
  JournalSource source(options(),
                       program("case \"$*\" in *--after-cursor=c1*) " + entry("c2", "two ") +
                               "exec sleep 1000;; esac\n" + entry("c1", "one a 5") +
                               "echo 'No journal files were found.' >&2\n"));
  ASSERT_TRUE(test::run(context, source.start()));

  ASSERT_TRUE(sees(source, 2));
  EXPECT_THAT(all(source.problems()), HasSubstr("(No journal files were found.)"));
  EXPECT_THAT(all(source.problems()), HasSubstr("group systemd-journal"));
  ASSERT_TRUE(sees(source, 3));

  EXPECT_THAT(seen, ElementsAre("one [a 5]", "lost 0", "two []"));
  EXPECT_THAT(source.problems(), IsEmpty());
  test::run(context, source.stop());
}

TEST_F(Journal, WithoutJournalctlSaysSo) {
  JournalSource source(options(), folder / "missing");

  const auto started = test::run(context, source.start());

  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().detail, HasSubstr(folder / "missing"));
}

TEST_F(Journal, TellsWhatJournaldSuppressed) {
  JournalSource source(
      options(), program(entry("c1", "one a 5") +
                         "printf '%s\\n' '__REALTIME_TIMESTAMP=1795673306540200' "
                         "'MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e' 'MESSAGE=Suppressed 9 "
                         "messages from elsewhere.service' '_PID=1' ''\n" +
                         entry("c2", "two ") + "exec sleep 1000\n"));
  ASSERT_TRUE(test::run(context, source.start()));

  ASSERT_TRUE(sees(source, 2));

  EXPECT_THAT(seen, ElementsAre("one [a 5]", "two []")) << "the unit is not ours";
  test::run(context, source.stop());
}

TEST(ChildOutput, EndsWithItsOwner) {
  pid_t pid = 0;
  {
    auto child = ChildOutput::start({"sleep", "1000"});
    ASSERT_TRUE(child);
    pid = child->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }

  EXPECT_NE(::kill(pid, 0), 0);
}

TEST(ElfNames, AreThoseOfTheFunctionsThatAProgramUses) {
  EXPECT_TRUE(has_dynamic_name("/proc/self/exe", "__libc_start_main"));
  EXPECT_FALSE(has_dynamic_name("/proc/self/exe", "__libc_start"));
  EXPECT_FALSE(has_dynamic_name("/proc/self/exe", "no_such_function"));
}

TEST(ElfNames, OfOtherAndDamagedFilesAreNone) {
  const test::TempDir folder;
  std::ifstream self("/proc/self/exe", std::ios::binary);
  std::string head(4096, '\0');
  self.read(head.data(), static_cast<std::streamsize>(head.size()));
  for (const auto& content :
       {std::string(), std::string("#!/bin/sh\n"), head, head.substr(0, 20)}) {
    std::filesystem::remove(folder / "file");
    test::write_file(folder / "file", content);

    EXPECT_FALSE(has_dynamic_name(folder / "file", "openlog"));
  }
  EXPECT_FALSE(has_dynamic_name(folder / "missing", "openlog"));
  EXPECT_FALSE(has_dynamic_name(folder.path(), "openlog"));
}

}  // namespace
}  // namespace qemon::daemon
