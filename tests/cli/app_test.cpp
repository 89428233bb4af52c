#include "cli/app.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <sstream>

#include "tests/cli/fake_daemon.hpp"

namespace qemon::cli {
namespace {

using test::run_qemon;
using testing::HasSubstr;
using testing::StartsWith;

Environment environment_of(std::map<std::string, std::string> variables, uid_t uid,
                           bool system_socket) {
  Environment environment;
  environment.variable = [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
  environment.exists = [system_socket](const std::string& path) {
    return system_socket && path == "/run/qemond/control.sock";
  };
  environment.uid = uid;
  return environment;
}

void expect_usage(std::vector<std::string> arguments, const std::string& line) {
  const auto outcome = run_qemon(std::move(arguments));
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, line + "\n");
}

TEST(App, TakesTheSocketFromItsSurroundings) {
  const std::map<std::string, std::string> user{{"XDG_RUNTIME_DIR", "/run/user/1000"}};
  const std::map<std::string, std::string> told{{"XDG_RUNTIME_DIR", "/x"},
                                                {"QEMON_SOCKET", "/tmp/s"}};

  EXPECT_EQ(default_socket(environment_of(told, 0, true)), "/tmp/s");
  EXPECT_EQ(default_socket(environment_of(user, 1000, true)), "/run/qemond/control.sock");
  EXPECT_EQ(default_socket(environment_of(user, 0, false)), "/run/qemond/control.sock");
  EXPECT_EQ(default_socket(environment_of(user, 1000, false)),
            "/run/user/1000/qemond/control.sock");
  EXPECT_EQ(default_socket(environment_of({}, 1000, false)), "/run/qemond/control.sock");
}

TEST(App, SaysItsVersion) {
  const auto outcome = run_qemon({"--version"});

  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, "qemon " QEMON_VERSION "\n");
  EXPECT_EQ(outcome.err, "");
}

TEST(App, HelpHasEveryCommandAndExamples) {
  const auto outcome = run_qemon({"--help"});

  EXPECT_EQ(outcome.status, 0);
  for (const char* const part :
       {"status", "vm", "event", "--socket", "--output", "Examples:", "--for 60s"})
    EXPECT_THAT(outcome.out, HasSubstr(part));
  EXPECT_EQ(outcome.err, "");
}

TEST(App, EveryCommandHasHelp) {
  const std::vector<std::vector<std::string>> commands{
      {"status"},        {"vm"},          {"vm", "list"},  {"vm", "release"}, {"event"},
      {"event", "list"}, {"event", "on"}, {"event", "off"}};
  for (std::vector<std::string> command : commands) {
    command.emplace_back("--help");
    const auto outcome = run_qemon(command);
    EXPECT_EQ(outcome.status, 0) << command[0];
    EXPECT_THAT(outcome.out, HasSubstr("Usage: qemon " + command[0]));
  }
}

TEST(App, WrongUsageIsOneLineAndStatus2) {
  expect_usage({}, "qemon: a command is missing: see 'qemon --help'");
  expect_usage({"foo"}, "qemon: unknown command 'foo': see 'qemon --help'");
  expect_usage({"vm"}, "qemon: a command is missing: see 'qemon vm --help'");
  expect_usage({"event", "foo"}, "qemon: unknown command 'foo': see 'qemon event --help'");
  expect_usage({"status", "--bogus"},
               "qemon: unexpected argument '--bogus': see 'qemon status --help'");
  expect_usage({"status", "a\x1b[2Jb"},
               "qemon: unexpected argument 'a\\x1b[2Jb': see 'qemon status --help'");
  expect_usage({"status", "--output", "xml"},
               "qemon: --output: xml not in {table,json}: see 'qemon status --help'");
  expect_usage({"event", "on"}, "qemon: GLOB is required: see 'qemon event on --help'");
  expect_usage({"event", "off"}, "qemon: GLOB is required: see 'qemon event off --help'");
  expect_usage({"event", "on", "a", "--vm", ""},
               "qemon: --vm: is empty: see 'qemon event on --help'");
  expect_usage({"event", "on", ""}, "qemon: GLOB: is empty: see 'qemon event on --help'");
  expect_usage({"status", "--socket", ""}, "qemon: --socket: is empty: see 'qemon status --help'");
  expect_usage({"vm", "release", "--for", "60s"},
               "qemon: NAME is required: see 'qemon vm release --help'");
  expect_usage({"vm", "release", "web1"},
               "qemon: --for is required: see 'qemon vm release --help'");
  expect_usage({"vm", "release", "web1", "--for", "60"},
               "qemon: --for: '60' is not a duration: give a number and a unit, for instance "
               "500ms, 60s, 10m or 2h: "
               "see 'qemon vm release --help'");
}

TEST(App, TakesOutputAndSocketBeforeAndAfterTheCommand) {
  test::FakeDaemon daemon;
  daemon.answer("GET /v1/vms", 200, R"({"vms":[]})");

  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--output", "json", "--socket", daemon.path(), "vm", "list"},
           {"vm", "--output", "json", "list", "--socket", daemon.path()},
           {"vm", "list", "--socket=" + daemon.path(), "-o", "json"}}) {
    const auto outcome = run_qemon(arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "{\n  \"vms\": []\n}\n");
  }
}

TEST(App, FailsWhenItsOutputCannotBeWritten) {
  test::FakeDaemon daemon;
  daemon.answer("GET /v1/vms", 200, R"({"vms":[]})");
  const std::vector<const char*> argv{"qemon", "--socket", daemon.path().c_str(), "vm", "list"};
  std::ostream broken(nullptr);
  std::ostringstream err;

  const int status =
      run(static_cast<int>(argv.size()), argv.data(), process_environment(), broken, err);

  EXPECT_EQ(status, 1);
  EXPECT_EQ(err.str(), "qemon: cannot write the answer to standard output\n");
}

}  // namespace
}  // namespace qemon::cli
