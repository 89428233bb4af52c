// What qemond tells the service manager, over a real notification socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "base/unique_fd.hpp"
#include "tests/support/daemon.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::test {
namespace {

using std::chrono::milliseconds;
using testing::StartsWith;

/// The end of $NOTIFY_SOCKET that is systemd's: all messages, in order.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (!fd_ || ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot bind " + path + ": " + std::strerror(errno));
  }

  /// Every message that has come so far.
  const std::vector<std::string>& messages() {
    std::array<char, 4096> buffer{};
    for (;;) {
      const auto size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (size < 0) return messages_;
      messages_.emplace_back(buffer.data(), static_cast<std::size_t>(size));
    }
  }

  /// How many of the messages have `line` as one of their lines.
  std::size_t count(std::string_view line) {
    std::size_t found = 0;
    for (const auto& message : messages()) {
      const std::string lines = "\n" + message + "\n";
      if (lines.find("\n" + std::string(line) + "\n") != std::string::npos) ++found;
    }
    return found;
  }

  bool wait_for(std::string_view line, std::size_t times = 1) {
    return wait_until([&] { return count(line) >= times; });
  }

  /// False if anything comes within `duration`.
  bool stays_silent(milliseconds duration) {
    const auto before = messages().size();
    pollfd ready{fd_.get(), POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(duration.count()));
    return messages().size() == before;
  }

  std::string all() {
    std::string text;
    for (const auto& message : messages()) text += message + "\n--\n";
    return text;
  }

 private:
  UniqueFd fd_;
  std::vector<std::string> messages_;
};

std::int64_t monotonic_microseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
}

class Service : public testing::Test {
 protected:
  /// For a qemond whose watchdog has this period; none with 0.
  [[nodiscard]] QemondOptions notifying(milliseconds watchdog = milliseconds(0)) const {
    QemondOptions options;
    options.vms = {{"vm", "unix:" + (directory / "nobody.qmp")}};
    options.environment = {"NOTIFY_SOCKET=" + (directory / "notify")};
    if (watchdog.count() > 0)
      options.environment.push_back("WATCHDOG_USEC=" + std::to_string(watchdog.count() * 1000));
    return options;
  }

  [[nodiscard]] std::string home() const { return directory.path().string(); }

  TempDir directory;
  NotifySocket manager{directory / "notify"};
};

TEST_F(Service, IsReadyWhenItServes) {
  const Qemond daemon(home(), notifying());

  EXPECT_TRUE(manager.wait_for("READY=1")) << manager.all();
  EXPECT_EQ(manager.messages().front(), "READY=1");
}

TEST_F(Service, SaysInOneLineHowItIsDoing) {
  const Qemond daemon(home(), notifying());

  EXPECT_TRUE(manager.wait_for("STATUS=1 VM (1 out of reach), 0 tracing, 0 records/s"))
      << manager.all();
}

TEST_F(Service, SaysSoWhenTheFiguresChange) {
  auto options = notifying();
  options.vms.clear();
  options.arguments = {"--discover", directory / "*.qmp"};
  const Qemond daemon(home(), options);
  ASSERT_TRUE(manager.wait_for("STATUS=0 VMs, 0 tracing, 0 records/s")) << manager.all();

  ASSERT_EQ(daemon.qemon({"vm", "attach", "late", "unix:" + (directory / "late")}).status,
            ExitStatus{});

  EXPECT_TRUE(manager.wait_for("STATUS=1 VM (1 out of reach), 0 tracing, 0 records/s"))
      << manager.all();
  EXPECT_EQ(manager.count("STATUS=0 VMs, 0 tracing, 0 records/s"), 1U) << manager.all();
}

TEST_F(Service, FeedsTheWatchdog) {
  const Qemond daemon(home(), notifying(milliseconds(200)));

  EXPECT_TRUE(manager.wait_for("WATCHDOG=1", 10)) << manager.all();
}

TEST_F(Service, FeedsNoWatchdogWhereThereIsNone) {
  const Qemond daemon(home(), notifying());

  ASSERT_TRUE(manager.wait_for("STATUS=1 VM (1 out of reach), 0 tracing, 0 records/s"));

  EXPECT_EQ(manager.count("WATCHDOG=1"), 0U) << manager.all();
}

TEST_F(Service, ThatIsStuckStarvesTheWatchdog) {
  Qemond daemon(home(), notifying(milliseconds(200)));
  ASSERT_TRUE(manager.wait_for("WATCHDOG=1", 2));

  daemon.process().signal(SIGSTOP);
  // What was sent before the signal arrived.
  EXPECT_TRUE(wait_until([&] { return manager.stays_silent(milliseconds(500)); }));
  EXPECT_TRUE(manager.stays_silent(milliseconds(1000))) << manager.all();
  daemon.process().signal(SIGCONT);

  const auto before = manager.count("WATCHDOG=1");
  EXPECT_TRUE(manager.wait_for("WATCHDOG=1", before + 2)) << manager.all();
}

TEST_F(Service, TellsWhenItReloads) {
  Qemond daemon(home(), notifying());
  ASSERT_TRUE(manager.wait_for("READY=1"));
  const auto before = monotonic_microseconds();

  daemon.process().signal(SIGHUP);

  ASSERT_TRUE(manager.wait_for("READY=1", 2)) << manager.all();
  const auto& messages = manager.messages();
  const auto reloading = std::find_if(messages.begin(), messages.end(), [](const auto& message) {
    return message.starts_with("RELOADING=1\nMONOTONIC_USEC=");
  });
  ASSERT_NE(reloading, messages.end()) << manager.all();
  EXPECT_EQ(*(reloading + 1), "READY=1") << manager.all();
  const auto time = std::stoll(reloading->substr(reloading->rfind('=') + 1));
  EXPECT_GE(time, before);
  EXPECT_LE(time, monotonic_microseconds());
}

TEST_F(Service, SaysThatItCouldNotReload) {
  write_file(directory / "qemond.yaml", "log_level: info\n");
  auto options = notifying();
  options.arguments = {"--config", directory / "qemond.yaml"};
  const Qemond daemon(home(), options);
  write_file(directory / "qemond.yaml", "log_level: loud\n");

  EXPECT_EQ(daemon.qemon({"reload"}).status, (ExitStatus{1, 0}));

  EXPECT_TRUE(manager.wait_for(
      "STATUS=Not reloaded, see the log for the mistakes; 1 VM (1 out of reach), 0 tracing, "
      "0 records/s"))
      << manager.all();
  EXPECT_EQ(manager.count("READY=1"), 2U);
}

TEST_F(Service, TellsThatItIsStopping) {
  Qemond daemon(home(), notifying());
  ASSERT_TRUE(manager.wait_for("READY=1"));

  EXPECT_EQ(daemon.stop(), ExitStatus{});

  ASSERT_EQ(manager.count("STOPPING=1"), 1U) << manager.all();
  EXPECT_THAT(manager.messages().back(), StartsWith("STOPPING=1\nSTATUS="));
}

TEST_F(Service, WorksWhenNobodyListens) {
  auto options = notifying(milliseconds(200));
  options.environment.front() += "-that-nobody-made";

  Qemond daemon(home(), options);

  EXPECT_EQ(daemon.qemon({"status"}).status, ExitStatus{});
  EXPECT_TRUE(manager.messages().empty());
}

TEST_F(Service, FindsTheDirectoryThatWasMadeForIt) {
  QemondOptions options;
  options.environment = {"RUNTIME_DIRECTORY=" + (directory / "given") + ":/elsewhere"};
  options.environment.emplace_back("XDG_RUNTIME_DIR=" + (directory / "home"));
  const std::vector<std::string> command{"env",
                                         options.environment[0],
                                         options.environment[1],
                                         QEMON_TEST_BIN_DIR "/qemond",
                                         "--listen",
                                         "127.0.0.1:0",
                                         "--vm",
                                         "vm=unix:" + (directory / "nobody.qmp")};
  ProcessOptions process;
  process.command = command;
  process.err = directory / "err";
  Process daemon(process);

  EXPECT_TRUE(wait_until([&] { return std::filesystem::exists(directory / "given/control.sock"); }))
      << read_file(directory / "err");
}

}  // namespace
}  // namespace qemon::test
