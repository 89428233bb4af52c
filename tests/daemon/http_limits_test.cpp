// What HttpServer does when a client is slow, sends too much, or when there are too many.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/daemon/http_server_fixture.hpp"
#include "tests/support/raw_client.hpp"

namespace qemon::daemon {
namespace {

using test::RawClient;
using testing::HasSubstr;
using testing::StartsWith;

class HttpLimitsTest : public HttpServerTest {
 protected:
  /// Both ask for more than anybody takes at once; then there is a third one.
  void expect_the_first_gives_way(RawClient& first, RawClient& second) {
    for (RawClient* slow : {&first, &second}) {
      slow->send("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      EXPECT_THAT(slow->receive_some(16), StartsWith("HTTP/1.1 200"));
    }

    RawClient third(tcp_);
    third.send("GET /third HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

    EXPECT_THAT(third.receive_all(), HasSubstr("GET /third\n"));
    EXPECT_LT(first.receive_all().size(), 20'000'000U);
  }
};

TEST_F(HttpLimitsTest, LimitsTheHeader) {
  start();
  RawClient client(tcp_);

  client.send("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");

  EXPECT_THAT(client.receive_all(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpLimitsTest, LimitsTheBodyDeclaredOrNot) {
  start();
  RawClient declared(tcp_);
  RawClient chunked(tcp_);

  declared.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" +
                std::string(70'000, 'x'));
  chunked.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n11170\r\n" +
               std::string(70'000, 'x'));

  EXPECT_THAT(declared.receive_all(), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(chunked.receive_all(), StartsWith("HTTP/1.1 413 "));
}

TEST_F(HttpLimitsTest, ASlowReaderDoesNotHoldUpOthersAndIsCutOff) {
  HttpLimits limits;
  limits.write_max = std::chrono::milliseconds(300);
  start(limits);
  RawClient slow(tcp_);
  slow.set_receive_buffer(4096);
  slow.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(slow.receive_some(16), StartsWith("HTTP/1.1 200"));

  RawClient other(tcp_);
  other.send("GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

  EXPECT_THAT(other.receive_all(), HasSubstr("GET /other\n"));
  EXPECT_TRUE(test::wait_until(
      [&] { return ask([](const HttpServer& s) { return s.connections(); }) == 0; }));
}

TEST_F(HttpLimitsTest, EndsConnectionsThatSendNothing) {
  HttpLimits limits;
  limits.idle_max = std::chrono::milliseconds(50);
  start(limits);
  RawClient silent(tcp_);

  EXPECT_EQ(silent.receive_all(), "");
  EXPECT_EQ(ask([](const HttpServer& s) { return s.stats().bad_requests; }), 0U);
}

TEST_F(HttpLimitsTest, EndsConnectionsThatSendTooSlowly) {
  HttpLimits limits;
  limits.read_max = std::chrono::milliseconds(100);
  start(limits);
  RawClient half(tcp_);
  half.send("GET / HT");

  const std::string answer = half.receive_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\nthe request was not whole after 100 ms\n"));
  EXPECT_EQ(ask([](const HttpServer& s) { return s.stats().bad_requests; }), 1U);
}

TEST_F(HttpLimitsTest, MakesRoomByEndingTheConnectionThatWaitedLongest) {
  HttpLimits limits;
  limits.connections_max = 3;
  start(limits);
  RawClient first(unix_);
  EXPECT_TRUE(test::wait_until(
      [&] { return ask([](const HttpServer& s) { return s.connections(); }) == 1; }));
  RawClient second(unix_);
  RawClient third(unix_);

  RawClient fourth(unix_);
  fourth.send("GET /fourth HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

  EXPECT_THAT(fourth.receive_all(), HasSubstr("GET /fourth"));
  EXPECT_EQ(first.receive_all(), "");
  second.send("GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(second.receive_all(), HasSubstr("GET /second"));
  EXPECT_EQ(ask([](const HttpServer& s) { return s.stats().evictions; }), 1U);
}

TEST_F(HttpLimitsTest, RefusesAConnectionWhenAllOthersAreBeingAnswered) {
  HttpLimits limits;
  limits.connections_max = 2;
  limits.write_undisturbed = test::default_deadline;
  start(limits);
  RawClient first(tcp_);
  RawClient second(tcp_);
  for (RawClient* busy : {&first, &second}) {
    busy->set_receive_buffer(4096);
    busy->send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(busy->receive_some(16), StartsWith("HTTP/1.1 200"));
  }

  RawClient third(tcp_);
  const std::string answer = third.receive_all();

  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 21\r\n\r\ntoo many connections\n"));
  RawClient control(unix_);
  control.send("GET /control HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(control.receive_all(), HasSubstr("GET /control"));
}

TEST_F(HttpLimitsTest, RefusesRequestsWhileTooMuchWaitsForReadersOfThatListener) {
  HttpLimits limits;
  limits.response_bytes_max = 1'000'000;
  limits.write_undisturbed = test::default_deadline;
  start(limits);
  RawClient slow(tcp_);
  slow.send("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(slow.receive_some(16), StartsWith("HTTP/1.1 200"));
  RawClient other(tcp_);
  RawClient control(unix_);

  other.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  control.send("GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

  const std::string refusal = other.receive_until("readers\n");
  EXPECT_THAT(refusal, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(refusal, HasSubstr("too many responses are waiting for their readers\n"));
  EXPECT_THAT(control.receive_all(), HasSubstr("GET /b\n"));
  EXPECT_GT(slow.receive_all().size(), 20'000'000U);
  EXPECT_TRUE(test::wait_until(
      [&] { return ask([](const HttpServer& s) { return s.connections(); }) == 1; }));
  other.send("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(other.receive_all(), HasSubstr("GET /a\n"));
}

TEST_F(HttpLimitsTest, MakesRoomByEndingTheResponseThatTookLongest) {
  HttpLimits limits;
  limits.connections_max = 2;
  limits.write_undisturbed = std::chrono::milliseconds(0);
  start(limits);
  RawClient first(tcp_);
  RawClient second(tcp_);
  expect_the_first_gives_way(first, second);
  EXPECT_GT(second.receive_all().size(), 20'000'000U);
  EXPECT_EQ(ask([](const HttpServer& s) { return s.stats().evictions; }), 1U);
}

TEST_F(HttpLimitsTest, EndsTheResponseThatTookLongestWhenTooMuchWaitsForReaders) {
  HttpLimits limits;
  limits.response_bytes_max = 30'000'000;
  limits.write_undisturbed = std::chrono::milliseconds(0);
  start(limits);
  RawClient first(tcp_);
  RawClient second(tcp_);
  expect_the_first_gives_way(first, second);
  EXPECT_EQ(ask([](const HttpServer& s) { return s.stats().evictions; }), 1U);
  EXPECT_EQ(ask([](const HttpServer& s) { return s.stats().refusals; }), 0U);
}

TEST_F(HttpLimitsTest, CountsABodyThatManyShareOnce) {
  HttpLimits limits;
  limits.response_bytes_max = 30'000'000;
  limits.write_undisturbed = test::default_deadline;
  start(limits);
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 10; ++i) {
    slow.push_back(std::make_unique<RawClient>(tcp_));
    slow.back()->send("GET /shared HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(slow.back()->receive_some(16), StartsWith("HTTP/1.1 200"));
  }

  for (auto& client : slow) EXPECT_GT(client->receive_all().size(), 20'000'000U);
  EXPECT_EQ(ask([](const HttpServer& s) { return s.stats().refusals; }), 0U);
}

}  // namespace
}  // namespace qemon::daemon
