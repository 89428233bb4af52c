// Who may read and who may control, with clients of other users and groups.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/daemon.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::test {
namespace {

using testing::HasSubstr;

constexpr const char* ours = "daemon";  // Groups that every Debian has and nobody is in.
constexpr const char* theirs = "games";

class Access : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be other users";
    if (!find_program("setpriv")) GTEST_SKIP() << "setpriv is not installed";
    std::filesystem::permissions(directory.path(), std::filesystem::perms(0755));
    write_config("");
  }

  void write_config(const std::string& text) const {
    write_file(directory / "qemond.yaml",
               "vms: [{name: vm, address: \"unix:/nobody.qmp\"}]\n" + text);
  }

  [[nodiscard]] QemondOptions configured() const {
    QemondOptions options;
    options.arguments = {"--config", directory / "qemond.yaml"};
    return options;
  }

  /// As a user of no privilege who is in `group` besides their own.
  [[nodiscard]] Finished qemon_of_member(const Qemond& daemon, const std::string& group,
                                         const std::vector<std::string>& arguments) const {
    std::vector<std::string> command{"setpriv", "--reuid=65534", "--regid=65534",
                                     "--groups=" + group};
    const auto qemon = daemon.qemon_command(arguments);
    command.insert(command.end(), qemon.begin(), qemon.end());
    return run_program(command, directory.path().string());
  }

  TempDir directory;
};

const std::vector<std::string> reading{"status"};
const std::vector<std::string> controlling{"vm", "release", "vm", "--for", "1s"};

TEST_F(Access, OfMembersOfAControlGroup) {
  write_config("control_groups: [" + std::string(ours) + "]\n");
  const Qemond daemon(directory.path().string(), configured());

  EXPECT_EQ(qemon_of_member(daemon, ours, reading).status, ExitStatus{});
  EXPECT_EQ(qemon_of_member(daemon, ours, controlling).status, ExitStatus{});
  EXPECT_EQ(qemon_of_member(daemon, theirs, reading).status, ExitStatus{});
  const auto refused = qemon_of_member(daemon, theirs, controlling);
  EXPECT_EQ(refused.status, (ExitStatus{1, 0}));
  EXPECT_THAT(refused.err, HasSubstr("members of the group daemon may control VMs"));
}

TEST_F(Access, OfMembersOfAReadGroup) {
  write_config("read_groups: [" + std::string(ours) + "]\n");
  const Qemond daemon(directory.path().string(), configured());

  EXPECT_EQ(qemon_of_member(daemon, ours, reading).status, ExitStatus{});
  EXPECT_EQ(qemon_of_member(daemon, ours, controlling).status, (ExitStatus{1, 0}));
  const auto refused = qemon_of_member(daemon, theirs, reading);
  EXPECT_EQ(refused.status, (ExitStatus{1, 0}));
  EXPECT_THAT(refused.err, HasSubstr(" daemon may read"));
}

TEST_F(Access, ChangesWithAReload) {
  const Qemond daemon(directory.path().string(), configured());
  ASSERT_EQ(qemon_of_member(daemon, ours, controlling).status, (ExitStatus{1, 0}));

  write_config("control_groups: [" + std::string(ours) + "]\nread_groups: [daemon]\n");
  ASSERT_EQ(daemon.qemon({"reload"}).status, ExitStatus{});

  EXPECT_EQ(qemon_of_member(daemon, ours, controlling).status, ExitStatus{});
  EXPECT_EQ(qemon_of_member(daemon, theirs, reading).status, (ExitStatus{1, 0}));
}

TEST_F(Access, StaysAsItWasWhenAGroupIsUnknown) {
  write_config("control_groups: [" + std::string(ours) + "]\n");
  const Qemond daemon(directory.path().string(), configured());

  write_config("control_groups: [\n  no-such-group-here]\n");
  const auto reloaded = daemon.qemon({"reload"});

  EXPECT_EQ(reloaded.status, (ExitStatus{1, 0}));
  EXPECT_THAT(reloaded.err, HasSubstr("qemond.yaml:3: control_groups: there is no group "
                                      "\"no-such-group-here\" on this host"));
  EXPECT_EQ(qemon_of_member(daemon, ours, controlling).status, ExitStatus{});
}

TEST_F(Access, IsForTheGroupsOfTheCommandLineOnlyWhenItNamesAny) {
  write_config("control_groups: [" + std::string(ours) + "]\n");
  auto options = configured();
  options.arguments.insert(options.arguments.end(), {"--control-group", theirs});
  const Qemond daemon(directory.path().string(), options);

  EXPECT_EQ(qemon_of_member(daemon, theirs, controlling).status, ExitStatus{});
  EXPECT_EQ(qemon_of_member(daemon, ours, controlling).status, (ExitStatus{1, 0}));
}

TEST_F(Access, IsForRootOnlyWhenAnEmptyListIsGiven) {
  write_config("control_groups: []\n");
  const Qemond daemon(directory.path().string(), configured());

  EXPECT_EQ(daemon.qemon(controlling).status, ExitStatus{});
  const auto refused = qemon_of_member(daemon, ours, controlling);
  EXPECT_THAT(refused.err, HasSubstr("only root and the user of qemond may control VMs"));
}

}  // namespace
}  // namespace qemon::test
