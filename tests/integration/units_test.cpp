// The systemd units that ship, judged by systemd itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "tests/support/files.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/// The units as they are installed, but with programs that are there.
class Units : public testing::Test {
 protected:
  void SetUp() override {
    if (!find_program("systemd-analyze")) GTEST_SKIP() << "systemd-analyze is not installed";
    for (const std::string name : {"qemond.service", "qemond-restore.service"}) {
      auto text = read_file(QEMON_TEST_UNITS "/" + name);
      text = std::regex_replace(text, std::regex("ExecStart=\\S+/(qemond?)\\b"),
                                "ExecStart=" QEMON_TEST_BIN_DIR "/$1");
      write_file(directory / name, text);
    }
    for (const std::string name : {"run-qemond-trace.mount", "qemond.socket", "qemond-http.socket"})
      std::filesystem::copy_file(QEMON_TEST_SOURCE_UNITS "/" + name, directory / name);
  }

  Finished analyze(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "systemd-analyze");
    return run_program(arguments, directory.path().string());
  }

  TempDir directory;
};

TEST_F(Units, AreValid) {
  const auto done =
      analyze({"verify", "--man=no", directory / "qemond.service",
               directory / "qemond-restore.service", directory / "run-qemond-trace.mount",
               directory / "qemond.socket", directory / "qemond-http.socket"});

  EXPECT_EQ(done.status, ExitStatus{}) << done.err;
  // Unknown keys are only warned of.
  EXPECT_THAT(done.err, Not(HasSubstr("qemond"))) << done.err;
}

TEST_F(Units, AreExposedLittle) {
  for (const std::string name : {"qemond.service", "qemond-restore.service"}) {
    const auto done = analyze({"security", "--offline=true", "--threshold=20", directory / name});

    EXPECT_EQ(done.status, ExitStatus{}) << done.out << done.err;
    EXPECT_THAT(done.out, HasSubstr("Overall exposure level for " + name)) << done.err;
  }
}

TEST_F(Units, AreTheSameSandbox) {
  const auto sandbox = read_file(QEMON_TEST_SOURCE_UNITS "/sandbox.conf");
  ASSERT_THAT(sandbox, HasSubstr("\nUser=qemon\n"));

  for (const std::string name : {"/qemond.service", "/qemond-restore.service"})
    EXPECT_THAT(read_file(QEMON_TEST_UNITS + name),
                HasSubstr(sandbox.substr(0, sandbox.rfind('\n'))));
}

TEST_F(Units, RestoreWhenQemondIsDeadForGood) {
  const auto text = read_file(directory / "qemond.service");

  for (const std::string line :
       {"Type=notify", "OnFailure=qemond-restore.service", "Restart=on-failure",
        "RuntimeDirectoryPreserve=yes", "Wants=run-qemond-trace.mount"})
    EXPECT_THAT(text, HasSubstr("\n" + line + "\n"));
}

TEST_F(Units, HaveTheSocketsThatQemondKnowsAndOpensByDefault) {
  const auto control = read_file(directory / "qemond.socket");
  const auto http = read_file(directory / "qemond-http.socket");

  for (const std::string line :
       {"ListenStream=/run/qemond/control.sock", "FileDescriptorName=control", "SocketMode=0666"})
    EXPECT_THAT(control, HasSubstr("\n" + line + "\n"));
  for (const std::string line : {"ListenStream=127.0.0.1:9749", "FileDescriptorName=http",
                                 "Service=qemond.service", "IPAddressDeny=any"})
    EXPECT_THAT(http, HasSubstr("\n" + line + "\n"));
}

TEST_F(Units, LetNobodyAnswerForADeadQemond) {
  const auto text = read_file(directory / "qemond-restore.service");

  for (const std::string line : {"Conflicts=qemond.socket", "After=qemond.socket"})
    EXPECT_THAT(text, HasSubstr("\n" + line + "\n"));
}

}  // namespace
}  // namespace qemon::test
