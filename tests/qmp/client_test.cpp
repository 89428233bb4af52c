#include "qmp/client.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <future>
#include <set>

#include "tests/qmp/client_fixture.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::qmp::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using namespace std::chrono_literals;

TEST_F(ClientTest, ShakesHandsAndExecutes) {
  start([](Peer& peer) {
    peer.handshake();
    const json command = peer.read();
    EXPECT_EQ(command.at("execute"), "query-status");
    EXPECT_FALSE(command.contains("arguments"));
    peer.reply(command, {{"status", "running"}});
    peer.wait_for_client_to_leave();
  });

  const auto answer = execute("query-status");

  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->at("status"), "running");
  EXPECT_EQ(client->greeting().version, (Version{7, 2, 22}));
}

TEST_F(ClientTest, SendsNothingThatIsNotOnTheList) {
  start([](Peer& peer) {
    peer.handshake();
    EXPECT_TRUE(peer.nothing_to_read(50ms));
    peer.wait_for_client_to_leave();
  });

  const auto quit = execute("quit");
  const auto human = execute("human-monitor-command", {{"command-line", "quit"}});

  ASSERT_FALSE(quit);
  EXPECT_EQ(quit.error().code, errc::invalid_argument);
  EXPECT_EQ(quit.error().detail, "quit: not sent: qemon does not send this command to any monitor");
  ASSERT_FALSE(human);
  EXPECT_EQ(human.error().detail,
            "human-monitor-command: not sent: qemon does not type this line into any monitor");
}

TEST_F(ClientTest, UnderstandsAPeerThatWritesByteByByte) {
  start([](Peer& peer) {
    peer.handshake();
    const json command = peer.read();
    const std::string bytes =
        "{\"event\": \"STOP\"}\r\n{\"return\": 5, \"id\": " + command.at("id").dump() + "}\r\n";
    for (const char c : bytes) peer.write(std::string_view(&c, 1));
    peer.wait_for_client_to_leave();
  });

  const auto answer = execute("query-name");

  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(*answer, 5);
  EXPECT_EQ(client->statistics().events, 1U);
}

TEST_F(ClientTest, PipelinesManyCommandsWithAtMostEightOnTheWire) {
  std::atomic<int> most = 0;
  start([&most](Peer& peer) {
    peer.handshake();
    int answered = 0;
    while (answered < 300) {
      std::vector<json> waiting;
      while (waiting.size() < 8 && answered + static_cast<int>(waiting.size()) < 300)
        waiting.push_back(peer.read());
      EXPECT_TRUE(answered > 0 || peer.nothing_to_read(50ms));
      most = std::max<int>(most, static_cast<int>(waiting.size()));
      // Last come, first served.
      for (auto one = waiting.rbegin(); one != waiting.rend(); ++one) {
        peer.reply(*one, one->at("arguments").at("number"));
        ++answered;
      }
    }
    peer.wait_for_client_to_leave();
  });

  for (int i = 0; i < 300; ++i) spawn_execute("qom-get", json{{"number", i}});
  ASSERT_TRUE(run_until([this] { return results.size() == 300; }));

  std::set<int> numbers;
  for (const auto& result : results) {
    ASSERT_TRUE(result) << result.error().detail;
    numbers.insert(result->get<int>());
  }
  EXPECT_EQ(numbers.size(), 300U);
  EXPECT_EQ(most, 8);
  EXPECT_EQ(client->statistics().round_trips, 300U);
}

TEST_F(ClientTest, ACommandTimesOutAndItsLateReplyIsDropped) {
  start([](Peer& peer) {
    peer.handshake();
    const json slow = peer.read();
    const json quick = peer.read();
    peer.reply(slow, "too late");
    peer.reply(quick, "in time");
    peer.wait_for_client_to_leave();
  });

  const auto slow = execute("query-blockstats", nullptr, 20ms);
  const auto quick = execute("query-status");

  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code, errc::timed_out);
  EXPECT_EQ(slow.error().detail,
            "query-blockstats: no answer within 20 ms: QEMU's main loop is blocked");
  ASSERT_TRUE(quick);
  EXPECT_EQ(*quick, "in time");
  EXPECT_EQ(client->statistics().timeouts, 1U);
  EXPECT_EQ(client->statistics().late_replies, 1U);
  EXPECT_EQ(client->statistics().round_trips, 1U);
  EXPECT_FALSE(end_reason);
}

TEST_F(ClientTest, ACommandThatWaitedInVainIsNeverSent) {
  std::promise<void> gave_up;
  start([&](Peer& peer) {
    peer.handshake();
    std::vector<json> stuck;
    for (int i = 0; i < 8; ++i) stuck.push_back(peer.read());
    EXPECT_EQ(gave_up.get_future().wait_for(default_deadline), std::future_status::ready);
    EXPECT_TRUE(peer.nothing_to_read(10ms));
    for (const json& command : stuck) peer.reply(command, 1);
    const json next = peer.read();
    EXPECT_EQ(next.at("execute"), "query-name");
    peer.reply(next, 2);
    peer.wait_for_client_to_leave();
  });
  for (int i = 0; i < 8; ++i) spawn_execute("query-jobs");

  const auto withdrawn = execute("query-kvm", nullptr, 20ms);
  gave_up.set_value();
  const auto afterwards = execute("query-name");

  ASSERT_FALSE(withdrawn);
  EXPECT_EQ(withdrawn.error().code, errc::timed_out);
  EXPECT_EQ(withdrawn.error().detail,
            "query-kvm: not sent within 20 ms: QEMU has not answered earlier commands");
  EXPECT_TRUE(afterwards);
}

TEST_F(ClientTest, SaysWhatQemuSays) {
  Answers answers;
  answers.command = [](const json&) { return json{{"error", "unknown event \"x\""}}; };
  start(answering(answers));

  const auto answer = execute("trace-event-set-state");

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, errc::command_failed);
  EXPECT_EQ(answer.error().detail, "trace-event-set-state: unknown event \"x\"");
}

TEST_F(ClientTest, APeerWithoutGreetingIsBusy) {
  connect_to([](Peer& peer) { peer.wait_for_client_to_leave(); }, 50ms);

  const auto greeting = handshake();

  ASSERT_FALSE(greeting);
  EXPECT_EQ(greeting.error().code, errc::busy);
  EXPECT_EQ(greeting.error().detail,
            "no greeting within 50 ms: another client holds this monitor (a QEMU monitor serves "
            "one client at a time)");
}

TEST_F(ClientTest, APeerThatGreetsAndIsStuckIsNotCalledBusy) {
  std::promise<void> greeted;
  connect_to(
      [&](Peer& peer) {
        peer.greet();
        greeted.set_value();
        peer.wait_for_client_to_leave();
      },
      50ms);
  ASSERT_EQ(greeted.get_future().wait_for(default_deadline), std::future_status::ready);

  const auto greeting = handshake();

  ASSERT_FALSE(greeting);
  EXPECT_EQ(greeting.error().code, errc::timed_out);
  EXPECT_THAT(greeting.error().detail, HasSubstr("did not answer qmp_capabilities within 50 ms"));
}

TEST_F(ClientTest, APeerThatIsNoMonitorIsNamed) {
  connect_to([](Peer& peer) {
    peer.write("SSH-2.0-OpenSSH_9.2p1\r\n");
    peer.wait_for_client_to_leave();
  });

  const auto greeting = handshake();

  ASSERT_FALSE(greeting);
  EXPECT_EQ(greeting.error().code, errc::protocol);
  EXPECT_EQ(greeting.error().detail,
            "this is not a QMP monitor: it sent \"SSH-2.0-OpenSSH_9.2p1\"");
}

TEST_F(ClientTest, APeerMayHangUpAtEveryStepOfTheHandshake) {
  const std::vector<std::function<void(Peer&)>> scripts = {
      [](Peer& peer) { peer.hang_up(); },
      [](Peer& peer) { peer.write("{\"QMP\": {\"ver"); },
      [](Peer& peer) { peer.greet(); },
      [](Peer& peer) {
        peer.greet();
        peer.read();
      },
      [](Peer& peer) {
        peer.greet();
        peer.read();
        peer.write("{\"return\": {}, ");
      },
  };
  for (const auto& script : scripts) {
    connect_to(script);

    const auto greeting = handshake();

    ASSERT_FALSE(greeting);
    EXPECT_EQ(greeting.error().code, errc::closed) << greeting.error().detail;
  }
}

TEST_F(ClientTest, EveryPendingCommandLearnsThatThePeerHungUp) {
  start([](Peer& peer) {
    peer.handshake();
    for (int i = 0; i < 8; ++i) peer.read();
    peer.write("{\"return\": {\"half\": ");
  });

  for (int i = 0; i < 20; ++i) spawn_execute("query-status");
  ASSERT_TRUE(run_until([this] { return results.size() == 20 && end_reason; }));

  for (const auto& result : results) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, errc::closed);
    EXPECT_EQ(result.error().detail, "query-status: QEMU closed the monitor connection");
  }
  EXPECT_EQ(end_reason->detail, "QEMU closed the monitor connection");
  EXPECT_EQ(execute("query-status").error().code, errc::closed);
}

TEST_F(ClientTest, NonsenseEndsTheSession) {
  start([](Peer& peer) {
    peer.handshake();
    peer.read();
    peer.write("{\"return\": {}}}\r\n");
    peer.wait_for_client_to_leave();
  });

  const auto answer = execute("query-status");
  ASSERT_TRUE(run_until([this] { return end_reason.has_value(); }));

  EXPECT_EQ(answer.error().code, errc::protocol);
  EXPECT_EQ(end_reason->code, errc::protocol);
  EXPECT_EQ(client->statistics().unknown_ids, 1U);
}

TEST_F(ClientTest, AnEndlessLineEndsTheSession) {
  start([](Peer& peer) {
    peer.handshake();
    peer.read();
    peer.write("{\"return\": \"");
    while (true) peer.write(std::string(1U << 20, 'x'));
  });

  const auto answer = execute("query-status");

  EXPECT_EQ(answer.error().code, errc::line_too_long) << answer.error().detail;
}

TEST_F(ClientTest, HandsOutEvents) {
  connect_to([](Peer& peer) {
    peer.greet();
    const json command = peer.read();
    // In one piece with the end of the handshake, before anybody could listen.
    peer.write(
        "{\"return\": {}, \"id\": " + command.at("id").dump() +
        "}\r\n{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 5, \"microseconds\": 7}}\r\n"
        "{\"event\": \"RESET\", \"data\": {\"guest\": true}}\r\n");
    peer.wait_for_client_to_leave();
  });
  ASSERT_TRUE(handshake());

  std::vector<std::string> seen;
  client->on_event([&seen](const Event& event) {
    seen.push_back(std::string(event.name) + event.data.dump() +
                   std::to_string(event.time.time_since_epoch() / 1us));
  });
  spawn_run();
  ASSERT_TRUE(run_until([&seen] { return seen.size() == 2; }));

  EXPECT_EQ(seen, (std::vector<std::string>{"STOP{}5000007", "RESET{\"guest\":true}0"}));
}

TEST_F(ClientTest, MayBeDestroyedByItsOwnEventCallback) {
  start([](Peer& peer) {
    peer.handshake();
    peer.read();
    peer.write("{\"event\": \"SHUTDOWN\"}\r\n{\"event\": \"STOP\"}\r\n");
    peer.wait_for_client_to_leave();
  });
  int events = 0;
  client->on_event([this, &events](const Event&) {
    ++events;
    client.reset();
  });

  spawn_execute("query-status");
  ASSERT_TRUE(run_until([this] { return end_reason && results.size() == 1; }));

  EXPECT_EQ(events, 1);
  EXPECT_EQ(results[0].error().code, errc::closed);
}

TEST_F(ClientTest, CloseEndsEverything) {
  start([](Peer& peer) {
    peer.handshake();
    peer.wait_for_client_to_leave();
  });
  spawn_execute("query-status");
  ASSERT_TRUE(run_until([this] { return client->statistics().bytes_sent > 60; }));

  client->close();
  ASSERT_TRUE(run_until([this] { return end_reason && results.size() == 1; }));

  EXPECT_EQ(end_reason->code, errc::closed);
  EXPECT_EQ(results[0].error().detail, "query-status: we closed the monitor connection");
}

TEST_F(ClientTest, ACallerMayCancelItsCommand) {
  start([](Peer& peer) {
    peer.handshake();
    const json cancelled = peer.read();
    const json next = peer.read();
    peer.reply(cancelled, 1);
    peer.reply(next, 2);
    peer.wait_for_client_to_leave();
  });
  boost::asio::cancellation_signal signal;
  std::optional<Result<json>> cancelled;
  boost::asio::co_spawn(context, client->execute("query-blockstats", nullptr, 30s),
                        boost::asio::bind_cancellation_slot(
                            signal.slot(), [&cancelled](std::exception_ptr, Result<json> result) {
                              cancelled = std::move(result);
                            }));
  ASSERT_TRUE(run_until([this] { return client->statistics().bytes_sent > 60; }));

  signal.emit(boost::asio::cancellation_type::terminal);
  const auto next = execute("query-status");

  ASSERT_TRUE(cancelled && !*cancelled);
  EXPECT_EQ(cancelled->error().code, std::errc::operation_canceled);
  ASSERT_TRUE(next);
  EXPECT_EQ(*next, 2);
  EXPECT_EQ(client->statistics().late_replies, 1U);
  EXPECT_EQ(client->statistics().timeouts, 0U);
}

TEST_F(ClientTest, CancellingRunEndsTheSession) {
  connect_to([](Peer& peer) {
    peer.handshake();
    peer.wait_for_client_to_leave();
  });
  ASSERT_TRUE(handshake());
  boost::asio::cancellation_signal signal;
  boost::asio::co_spawn(
      context, client->run(),
      boost::asio::bind_cancellation_slot(
          signal.slot(), [this](std::exception_ptr, Error reason) { end_reason = reason; }));
  spawn_execute("query-status");
  ASSERT_TRUE(run_until([this] { return client->statistics().bytes_sent > 60; }));

  signal.emit(boost::asio::cancellation_type::terminal);
  ASSERT_TRUE(run_until([this] { return end_reason && results.size() == 1; }));

  EXPECT_EQ(results[0].error().code, errc::closed);
}

TEST_F(ClientTest, MayBeDestroyedWhileCommandsWait) {
  start([](Peer& peer) {
    peer.handshake();
    peer.wait_for_client_to_leave();
  });
  for (int i = 0; i < 10; ++i) spawn_execute("query-status");
  ASSERT_TRUE(run_until([this] { return client->statistics().bytes_sent > 200; }));

  client.reset();
  ASSERT_TRUE(run_until([this] { return end_reason && results.size() == 10; }));

  EXPECT_EQ(results[9].error().code, errc::closed);
}

TEST_F(ClientTest, MayBeLeftWithEverythingPending) {
  start([](Peer& peer) {
    peer.handshake();
    peer.wait_for_client_to_leave();
  });
  for (int i = 0; i < 10; ++i) spawn_execute("query-status");
  ASSERT_TRUE(run_until([this] { return client->statistics().bytes_sent > 200; }));

  // The context is destroyed with coroutines suspended in it; sanitizers watch.
}

TEST_F(ClientTest, APeerThatDoesNotReadBlocksNobody) {
  start([](Peer& peer) {
    peer.handshake();
    peer.ignore_client_until_it_leaves();
  });

  // Each is more than a socket takes, so that the first is never written to its end.
  const json large = {{"text", std::string(1U << 20, 'x')}};
  for (int i = 0; i < 3; ++i) spawn_execute("query-stats", large, 200ms);
  ASSERT_TRUE(run_until([this] { return results.size() == 3; }));

  for (const auto& result : results) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, errc::timed_out);
  }
  EXPECT_LT(client->statistics().bytes_sent, 1U << 20);
  EXPECT_FALSE(end_reason);
}

TEST_F(ClientTest, PassesADescriptorWithItsCommandAndBehindOthers) {
  const qemon::test::TempDir directory;
  qemon::test::write_file(directory / "file", "what is in the file");
  std::string received;
  start([&received](Peer& peer) {
    peer.handshake();
    for (int i = 0; i < 3; ++i) peer.reply(peer.read(), 1);
    const json command = peer.read();
    EXPECT_EQ(command.at("execute"), "add-fd");
    char bytes[64];
    const auto size = ::pread(peer.descriptor.get(), bytes, sizeof bytes, 0);
    if (size > 0) received.assign(bytes, static_cast<std::size_t>(size));
    peer.reply(command, {{"fdset-id", 3}, {"fd", 16}});
    peer.wait_for_client_to_leave();
  });
  for (int i = 0; i < 3; ++i) spawn_execute("query-status");

  const UniqueFd file(::open((directory / "file").c_str(), O_RDONLY | O_CLOEXEC));
  const auto answer =
      qemon::test::run(context, client->execute_with_descriptor("add-fd", json(), file.get(), 10s));

  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->at("fd"), 16);
  EXPECT_EQ(received, "what is in the file");
}

TEST_F(ClientTest, RefusesABadDescriptor) {
  start([](Peer& peer) {
    peer.handshake();
    peer.wait_for_client_to_leave();
  });

  const auto answer =
      qemon::test::run(context, client->execute_with_descriptor("add-fd", json(), -1, 10s));

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, std::errc::bad_file_descriptor);
  EXPECT_FALSE(end_reason);
}

TEST_F(ClientTest, KnowsItsPeerAndMeasuresRoundTrips) {
  Answers answers;
  answers.command = [](const json&) { return json(1); };
  start(answering(answers));
  std::vector<std::chrono::nanoseconds> measured;
  client->on_round_trip([&measured](std::chrono::nanoseconds taken) { measured.push_back(taken); });

  ASSERT_TRUE(execute("query-name"));
  ASSERT_TRUE(execute("query-uuid"));

  const auto statistics = client->statistics();
  ASSERT_EQ(measured.size(), 2U);
  EXPECT_GT(measured[0].count(), 0);
  EXPECT_EQ(statistics.round_trip_sum, measured[0] + measured[1]);
  EXPECT_EQ(statistics.round_trip_last, measured[1]);
  EXPECT_GT(statistics.bytes_received, 100U);
  EXPECT_GT(statistics.bytes_sent, 100U);
  ASSERT_TRUE(client->peer());
  EXPECT_EQ(client->peer()->pid, ::getpid());
  EXPECT_EQ(client->peer()->uid, ::getuid());
}

}  // namespace
}  // namespace qemon::qmp::test
