// The client on a human monitor, played by a script.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "qmp/identity.hpp"
#include "qmp/trace_commands.hpp"
#include "tests/qmp/client_fixture.hpp"
#include "tests/qmp/hmp_terminal.hpp"

namespace qemon::qmp::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using namespace std::chrono_literals;

class HmpClientTest : public ClientTest {
 protected:
  static void greet(Peer& peer) {
    peer.write(hmp_greeting);
    peer.write(hmp_reply(peer.read_until('\x7f'), "7.2.22Debian\r\n"));
  }

  void connect_human(std::function<void(Peer&)> script,
                     std::chrono::milliseconds deadline = qemon::test::default_deadline) {
    connect_to(std::move(script), deadline, Protocol::hmp);
  }

  void start_human(std::function<void(Peer&)> script) {
    connect_human(std::move(script));
    const auto greeting = handshake();
    ASSERT_TRUE(greeting) << greeting.error().detail;
    spawn_run();
  }
};

TEST_F(HmpClientTest, TellsTheIdentity) {
  start_human([](Peer& peer) {
    greet(peer);
    const std::map<std::string, std::string> texts{
        {"info name", "web1\r\n"},
        {"info uuid", "12345678-1234-1234-1234-123456789abc\r\n"},
        {"info status", "VM status: paused (prelaunch)\r\n"},
        {"info kvm", "kvm support: enabled\r\n"},
        {"qom-get \"/machine\" \"type\"", "\"pc-q35-7.2-machine\"\r\n"},
        {"info cpus", "* CPU #0: thread_id=17\r\n"},
        {"info iothreads", "unknown command: 'info iothreads'\r\n"}};
    while (true) {
      const std::string typed = peer.read_until('\x7f');
      peer.write(hmp_reply(typed, texts.at(typed.substr(0, typed.size() - 3))));
    }
  });

  const auto identity = qemon::test::run(context, query_identity(*client));

  ASSERT_TRUE(identity) << identity.error().detail;
  EXPECT_EQ(identity->version, (Version{7, 2, 22}));
  EXPECT_EQ(identity->package, "Debian");
  EXPECT_EQ(identity->name, "web1");
  EXPECT_EQ(identity->uuid, "12345678-1234-1234-1234-123456789abc");
  EXPECT_EQ(identity->arch, "");
  EXPECT_EQ(identity->accelerator, "kvm");
  EXPECT_EQ(identity->machine, "pc-q35-7.2");
  EXPECT_EQ(identity->run_state, "prelaunch");
  EXPECT_THAT(identity->vcpu_threads, testing::ElementsAre(17));
}

TEST_F(HmpClientTest, RefusesDescriptors) {
  start_human([](Peer& peer) {
    greet(peer);
    peer.wait_for_client_to_leave();
  });

  const auto added =
      qemon::test::run(context, client->execute_with_descriptor("add-fd", json(), 0, 10s));

  ASSERT_FALSE(added);
  EXPECT_TRUE(is_refusal(added.error()));
}

TEST_F(HmpClientTest, ACommandTimesOutAndTheNextIsAnswered) {
  start_human([](Peer& peer) {
    greet(peer);
    const std::string slow = peer.read_until('\x7f');
    const std::string probe = peer.read_until('\x7f');
    peer.write(hmp_reply(slow, "late"));
    peer.write(std::string(1, probe[0]) + "\033[K\033[D\033[K");
    peer.write(hmp_reply(peer.read_until('\x7f'), "VM status: running\r\n"));
    peer.wait_for_client_to_leave();
  });

  const auto slow = execute("query-name", nullptr, 20ms);
  const auto quick = execute("query-status");

  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code, errc::timed_out);
  ASSERT_TRUE(quick) << quick.error().detail;
  EXPECT_EQ(quick->at("status"), "running");
  EXPECT_EQ(client->statistics().late_replies, 1U);
}

TEST_F(HmpClientTest, AMonitorThatDoesNotGreetIsBusy) {
  connect_human([](Peer& peer) { peer.wait_for_client_to_leave(); }, 50ms);

  const auto greeting = handshake();

  ASSERT_FALSE(greeting);
  EXPECT_EQ(greeting.error().code, errc::busy);
  EXPECT_THAT(greeting.error().detail, HasSubstr("another client holds this monitor"));
}

TEST_F(HmpClientTest, AMonitorThatDoesNotAnswerIsNoticed) {
  for (const std::string_view half :
       {hmp_greeting.substr(0, hmp_greeting.size() - 3), hmp_greeting}) {
    std::promise<void> greeted;
    connect_human(
        [&, half](Peer& peer) {
          peer.write(half);
          greeted.set_value();
          peer.wait_for_client_to_leave();
        },
        50ms);
    ASSERT_EQ(greeted.get_future().wait_for(default_deadline), std::future_status::ready);

    const auto greeting = handshake();

    ASSERT_FALSE(greeting);
    EXPECT_EQ(greeting.error().code, errc::timed_out);
    EXPECT_THAT(greeting.error().detail, HasSubstr("within 50 ms: QEMU's main loop is blocked"));
  }
}

TEST_F(HmpClientTest, AMonitorThatLeavesDuringTheHandshakeIsClosed) {
  const std::string all =
      std::string(hmp_greeting) + hmp_reply("info version\ra\x7f", "7.2.22\r\n");
  for (std::size_t size = 0; size < all.size(); size += 7) {
    // A copy for the monitor's thread, which may outlive this scope.
    connect_human([all, size](Peer& peer) {
      peer.write(std::string_view(all).substr(0, size));
      if (size >= hmp_greeting.size()) peer.read_until('\x7f');
    });

    const auto greeting = handshake();

    ASSERT_FALSE(greeting) << size;
    EXPECT_EQ(greeting.error().code, errc::closed) << greeting.error().detail;
  }
}

TEST_F(HmpClientTest, AMonitorThatLeavesDuringAnAnswerIsClosed) {
  const std::string all = hmp_reply("info name\rb\x7f", "web1\r\n");
  for (std::size_t size = 0; size < all.size(); size += 23) {
    end_reason.reset();
    start_human([all, size](Peer& peer) {
      greet(peer);
      peer.read_until('\x7f');
      peer.write(std::string_view(all).substr(0, size));
    });

    const auto name = execute("query-name");

    ASSERT_FALSE(name) << size;
    EXPECT_EQ(name.error().code, errc::closed) << name.error().detail;
    EXPECT_TRUE(run_until([this] { return end_reason.has_value(); }));
  }
}

TEST_F(HmpClientTest, AnEndlessAnswerEndsTheSession) {
  start_human([](Peer& peer) {
    greet(peer);
    peer.read_until('\x7f');
    peer.write(hmp_echo("info block"));
    const std::string lots(1U << 20, '#');
    while (true) peer.write(lots);
  });

  const auto answer = execute("human-monitor-command", {{"command-line", "info block"}});

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, errc::line_too_long);
}

}  // namespace
}  // namespace qemon::qmp::test
