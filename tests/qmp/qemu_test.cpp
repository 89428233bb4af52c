#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/unique_fd.hpp"
#include "qmp/client.hpp"
#include "qmp/error.hpp"
#include "qmp/identity.hpp"
#include "qmp/trace_commands.hpp"
#include "tests/qmp/qemu_process.hpp"
#include "tests/support/files.hpp"
#include "tests/support/run.hpp"

namespace qemon::qmp::test {
namespace {

using qemon::test::run;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

// One event that every version has, and that the monitor itself causes.
constexpr auto event_name = "handle_qmp_command";

class RealQemu : public testing::Test {
 protected:
  void SetUp() override {
    const auto binary = QemuProcess::binary();
    if (!binary) GTEST_SKIP() << "no QEMU: set QEMON_TEST_QEMU to a qemu-system binary";
    qemu.emplace(*binary);
    auto connected = connect(qemu->qmp(), qemon::test::default_deadline);
    ASSERT_TRUE(connected) << connected.error().detail;
    client = std::move(*connected);
    boost::asio::co_spawn(context, client->run(),
                          [](std::exception_ptr failure, const Error&) { EXPECT_FALSE(failure); });
  }

  Result<std::unique_ptr<Client>> connect(const Endpoint& endpoint,
                                          std::chrono::milliseconds deadline) {
    ClientOptions options;
    options.handshake_deadline = deadline;
    return run(context, Client::connect(context.get_executor(), endpoint, options));
  }

  std::size_t entries_in_descriptor_directory() {
    const auto entries =
        std::filesystem::directory_iterator("/proc/" + std::to_string(qemu->pid()) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
  }

  boost::asio::io_context context{1};
  std::optional<QemuProcess> qemu;
  std::unique_ptr<Client> client;
};

TEST_F(RealQemu, TellsItsIdentity) {
  const auto identity = run(context, query_identity(*client));

  ASSERT_TRUE(identity) << identity.error().detail;
  EXPECT_GE(identity->version.major, 6);
  EXPECT_EQ(identity->name, "web1");
  EXPECT_EQ(identity->uuid, "");
  EXPECT_NE(identity->arch, "");
  EXPECT_EQ(identity->accelerator, "tcg");
  EXPECT_EQ(identity->machine, "none");
  EXPECT_EQ(identity->run_state, "running");
  ASSERT_TRUE(client->peer());
  EXPECT_EQ(client->peer()->pid, qemu->pid());
}

TEST_F(RealQemu, ListsAndSwitchesEvents) {
  const auto all = run(context, get_event_states(*client, "*"));
  ASSERT_TRUE(all) << all.error().detail;
  EXPECT_GT(all->size(), 1000U);

  EXPECT_TRUE(run(context, set_event_state(*client, event_name, true)));
  auto states = run(context, get_event_states(*client, event_name));
  ASSERT_TRUE(states);
  ASSERT_EQ(states->size(), 1U);
  EXPECT_EQ(states->front().state, TraceEventState::enabled);
  EXPECT_TRUE(run(context, set_event_state(*client, event_name, false)));
  states = run(context, get_event_states(*client, event_name));
  EXPECT_EQ(states->front().state, TraceEventState::disabled);

  EXPECT_TRUE(run(context, get_event_states(*client, "no_such_*"))->empty());
  const auto unknown = run(context, set_event_state(*client, "no_such_event", true));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, errc::command_failed);
  EXPECT_THAT(unknown.error().detail,
              StartsWith("trace event no_such_event on: trace-event-set-state: unknown event"));
}

TEST_F(RealQemu, AnswersManyCommandsInFlight) {
  int answered = 0;
  for (int i = 0; i < 300; ++i) {
    boost::asio::co_spawn(context, client->execute("query-status", nlohmann::json(), 30s),
                          [&answered](std::exception_ptr, Result<nlohmann::json> result) {
                            EXPECT_TRUE(result);
                            ++answered;
                          });
  }
  const auto last = run(context, client->execute("query-version", nlohmann::json(), 30s));

  EXPECT_TRUE(last);
  EXPECT_EQ(answered, 300);
}

TEST_F(RealQemu, IsNeverSentWhatIsNotOnTheList) {
  EXPECT_EQ(run(context, client->execute("query-nothing", nlohmann::json(), 30s)).error().code,
            errc::invalid_argument);
  EXPECT_EQ(run(context, human_command(*client, "quit")).error().code, errc::invalid_argument);
}

TEST_F(RealQemu, ASecondClientIsToldThatTheMonitorIsBusyUntilItIsFree) {
  const auto second = connect(qemu->qmp(), 200ms);
  client.reset();
  const auto third = connect(qemu->qmp(), qemon::test::default_deadline);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, errc::busy);
  EXPECT_THAT(second.error().detail, HasSubstr("another client holds this monitor"));
  EXPECT_TRUE(third) << third.error().detail;
}

TEST_F(RealQemu, AHumanMonitorIsRecognised) {
  const auto wrong = connect(qemu->human(), qemon::test::default_deadline);

  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, errc::protocol);
  EXPECT_THAT(wrong.error().detail,
              HasSubstr("this is a human monitor (-monitor): give QEMU a -qmp as well"));
}

TEST_F(RealQemu, APrettyPrintingMonitorIsUnderstood) {
  auto pretty = connect(qemu->pretty(), qemon::test::default_deadline);
  ASSERT_TRUE(pretty) << pretty.error().detail;
  client = std::move(*pretty);
  boost::asio::co_spawn(context, client->run(), [](std::exception_ptr, const Error&) {});

  const auto all = run(context, get_event_states(*client, "*"));

  ASSERT_TRUE(all) << all.error().detail;
  EXPECT_GT(all->size(), 1000U);
}

TEST_F(RealQemu, LogsToAPathWithBlanksQuotesAndBackslashes) {
  const auto backends = run(context, detect_backends(*client));
  ASSERT_TRUE(backends) << backends.error().detail;
  if (!backends->log) GTEST_SKIP() << "this QEMU has no log backend";
  const std::string path = qemu->path("a \"b\" c\\n 'd'");

  ASSERT_TRUE(run(context, set_logfile(*client, path)));
  ASSERT_TRUE(run(context, set_event_state(*client, event_name, true)));
  ASSERT_TRUE(run(context, human_command(*client, "info name")));

  EXPECT_THAT(qemon::test::read_file(path), HasSubstr(event_name));
}

TEST_F(RealQemu, ALogfileThatCannotBeOpenedIsAnError) {
  const auto failed = run(context, set_logfile(*client, "/no/such/directory/log"));

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, errc::command_failed);
  EXPECT_THAT(failed.error().detail, HasSubstr("No such file or directory"));
  EXPECT_TRUE(run(context, set_logfile(*client, "/dev/null")));
}

TEST_F(RealQemu, LogsIntoADescriptorOfOurs) {
  const auto backends = run(context, detect_backends(*client));
  ASSERT_TRUE(backends) << backends.error().detail;
  if (!backends->log) GTEST_SKIP() << "this QEMU has no log backend";
  const std::string path = qemu->path("ours");
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const auto open_before = entries_in_descriptor_directory();

  const auto added = run(context, add_descriptor(*client, file.get()));
  ASSERT_TRUE(added) << added.error().detail;
  ASSERT_TRUE(run(context, set_logfile(*client, "/proc/self/fd/" + std::to_string(added->fd))));
  ASSERT_TRUE(run(context, remove_descriptors(*client, added->fdset_id)));
  ASSERT_TRUE(run(context, set_event_state(*client, event_name, true)));
  ASSERT_TRUE(run(context, human_command(*client, "info name")));

  EXPECT_THAT(qemon::test::read_file(path), HasSubstr(event_name));
  EXPECT_EQ(entries_in_descriptor_directory(), open_before + 1);
}

TEST_F(RealQemu, TakesTwoDescriptorsSentAtOnce) {
  const UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd two(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  Result<AddedDescriptor> first = Error{"not answered"};
  boost::asio::co_spawn(
      context, add_descriptor(*client, one.get()),
      [&first](std::exception_ptr, Result<AddedDescriptor> result) { first = result; });
  const auto second = run(context, add_descriptor(*client, two.get()));

  ASSERT_TRUE(first) << first.error().detail;
  ASSERT_TRUE(second) << second.error().detail;
  const std::string directory = "/proc/" + std::to_string(qemu->pid()) + "/fd/";
  EXPECT_EQ(std::filesystem::read_symlink(directory + std::to_string(first->fd)), "/dev/null");
  EXPECT_EQ(std::filesystem::read_symlink(directory + std::to_string(second->fd)), "/dev/zero");
}

TEST_F(RealQemu, WritesATraceFileIfItHasTheSimpleBackend) {
  const auto backends = run(context, detect_backends(*client));
  ASSERT_TRUE(backends) << backends.error().detail;
  if (!backends->simple) GTEST_SKIP() << "this QEMU has no simple backend";
  const std::string path = qemu->path("trace \"1\"");

  ASSERT_TRUE(run(context, set_trace_file(*client, path)));
  EXPECT_FALSE(std::filesystem::exists(path));
  ASSERT_TRUE(run(context, switch_trace_file(*client, true)));
  ASSERT_TRUE(run(context, set_event_state(*client, event_name, true)));
  ASSERT_TRUE(run(context, human_command(*client, "info name")));
  const auto before = std::filesystem::file_size(path);
  ASSERT_TRUE(run(context, flush_trace_file(*client)));
  EXPECT_GT(std::filesystem::file_size(path), before);

  const auto failed = run(context, set_trace_file(*client, "/no/such/directory/trace"));
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().detail, HasSubstr("QEMU cannot open \"/no/such/directory/trace\""));
  EXPECT_TRUE(run(context, set_trace_file(*client, path)));
  EXPECT_TRUE(run(context, switch_trace_file(*client, true)));
  EXPECT_TRUE(run(context, switch_trace_file(*client, false)));
}

TEST_F(RealQemu, ItsEndEndsTheSession) {
  ASSERT_EQ(::kill(qemu->pid(), SIGKILL), 0);
  const auto after = run(context, client->execute("query-status", nlohmann::json(), 30s));

  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().code, errc::closed);
}

}  // namespace
}  // namespace qemon::qmp::test
