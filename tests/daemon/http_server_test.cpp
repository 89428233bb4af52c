#include "daemon/http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <vector>

#include "tests/daemon/http_server_fixture.hpp"
#include "tests/support/raw_client.hpp"

namespace qemon::daemon {
namespace {

using test::RawClient;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(HttpServerTest, AnswersAGetRequest) {
  start();
  RawClient client(tcp_);

  client.send("GET /a%20b?x=1&y=a+b%26 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = client.receive_all();

  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Server: qemond\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; charset=utf-8\r\n"));
  EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\nGET /a b x=1 y=a b&\n"));
}

TEST_F(HttpServerTest, KeepsTheConnectionAndAnswersPipelinedRequestsInOrder) {
  start();
  RawClient client(tcp_);
  std::string requests;
  for (int i = 0; i < 50; ++i)
    requests += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";

  client.send(requests + "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answers = client.receive_all();

  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answers.find("\r\n\r\nGET /" + std::to_string(i) + "\n", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_NE(answers.find("GET /last\n", at), std::string::npos);
}

TEST_F(HttpServerTest, AnswersARequestThatComesByteByByte) {
  start();
  RawClient client(tcp_);

  for (const char byte : std::string(
           "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz"))
    client.send(std::string_view(&byte, 1));

  EXPECT_THAT(client.receive_all(), HasSubstr("\r\n\r\nPOST /a body=xyz\n"));
}

TEST_F(HttpServerTest, AnswersHeadWithoutABody) {
  start();
  RawClient client(tcp_);

  client.send(
      "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answers = client.receive_all();

  EXPECT_THAT(answers, HasSubstr("Content-Length: 7\r\n"));
  EXPECT_THAT(answers, HasSubstr("\r\n\r\nHTTP/1.1 200 OK"));
  EXPECT_THAT(answers, HasSubstr("GET /b\n"));
}

TEST_F(HttpServerTest, EndsAConnectionOfHttp10AfterTheAnswer) {
  start();
  RawClient client(tcp_);

  client.send("GET / HTTP/1.0\r\n\r\n");

  EXPECT_THAT(client.receive_all(), HasSubstr("GET /\n"));
}

TEST_F(HttpServerTest, InvitesABodyThatWaitsForIt) {
  start();
  RawClient client(tcp_);

  client.send(
      "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: "
      "close\r\n\r\n");
  EXPECT_EQ(client.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");

  EXPECT_THAT(client.receive_all(), HasSubstr("body=ok"));
}

TEST_F(HttpServerTest, RefusesGarbageAndGoesOnServingOthers) {
  start();
  RawClient bystander(tcp_);
  for (const std::string& garbage :
       {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
        std::string("hello\r\n\r\n"), std::string("GET\r\n\r\n"), std::string(100, '\0'),
        std::string("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
        std::string("GET /%zz HTTP/1.1\r\n\r\n"), std::string("GET /%00 HTTP/1.1\r\n\r\n"),
        std::string("GET * HTTP/1.1\r\n\r\n")}) {
    RawClient client(tcp_);
    client.send(garbage);
    client.finish_sending();
    EXPECT_THAT(client.receive_all(), StartsWith("HTTP/1.1 400 Bad Request\r\n"))
        << testing::PrintToString(garbage);
  }

  bystander.send("GET /still HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

  EXPECT_THAT(bystander.receive_all(), HasSubstr("GET /still\n"));
  EXPECT_EQ(ask([](const HttpServer& s) { return s.stats().bad_requests; }), 8U);
}

TEST_F(HttpServerTest, SurvivesAClientThatLeavesAtAnyByte) {
  start();
  const std::string request = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz";

  for (std::size_t length = 0; length <= request.size(); ++length)
    RawClient(tcp_).send(std::string_view(request).substr(0, length));

  EXPECT_TRUE(test::wait_until(
      [&] { return ask([](const HttpServer& s) { return s.connections(); }) == 0; }));
}

TEST_F(HttpServerTest, TurnsAHandlersFailureInto500AndKeepsTheConnection) {
  start();
  RawClient client(tcp_);

  client.send(
      "GET /throw HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\nConnection: "
      "close\r\n\r\n");
  const std::string answers = client.receive_all();

  EXPECT_THAT(answers, StartsWith("HTTP/1.1 500 Internal Server Error\r\n"));
  EXPECT_THAT(answers, HasSubstr("internal error: no such luck\n"));
  EXPECT_THAT(answers, HasSubstr("GET /next\n"));
}

TEST_F(HttpServerTest, SendsABigBodyWhole) {
  start();
  RawClient client(tcp_);

  client.send("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = client.receive_all();

  EXPECT_THAT(answer.substr(0, 1000), HasSubstr("Content-Length: 20000000\r\n"));
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 20'000'000U);
}

TEST_F(HttpServerTest, InvitesNoBodyOfHttp10) {
  start();
  RawClient client(tcp_);

  client.send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok");

  EXPECT_THAT(client.receive_all(), StartsWith("HTTP/1.0 200 OK\r\n"));
}

TEST_F(HttpServerTest, ServesManyConnections) {
  start();

  for (int round = 0; round < 5; ++round) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 100; ++i)
      clients.push_back(std::make_unique<RawClient>(i % 2 == 0 ? tcp_ : unix_));
    for (auto& client : clients) client->send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    for (auto& client : clients) EXPECT_THAT(client->receive_until("GET /x"), HasSubstr("GET /x"));
  }
}

TEST_F(HttpServerTest, TellsWhoIsAtTheOtherEndOfAUnixSocketOnly) {
  start();
  RawClient local(unix_);
  RawClient remote(tcp_);

  for (RawClient* client : {&local, &remote})
    client->send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

  EXPECT_THAT(local.receive_all(), HasSubstr("GET / pid=" + std::to_string(::getpid()) + "\n"));
  EXPECT_THAT(remote.receive_all(), HasSubstr("GET /\n"));
}

TEST_F(HttpServerTest, StopEndsWaitingConnectionsAndRemovesTheSocketFile) {
  start();
  RawClient idle(tcp_);
  RawClient half(unix_);
  half.send("GET /");
  EXPECT_TRUE(test::wait_until(
      [&] { return ask([](const HttpServer& s) { return s.connections(); }) == 2; }));

  stop();

  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_EQ(half.receive_all(), "");
  EXPECT_NE(::access(unix_.c_str(), F_OK), 0);
}

TEST_F(HttpServerTest, StopDoesNotWaitForeverForAReader) {
  HttpLimits limits;
  limits.stop_max = std::chrono::milliseconds(100);
  start(limits);
  RawClient stuck(tcp_);
  stuck.set_receive_buffer(4096);
  stuck.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(stuck.receive_some(16), StartsWith("HTTP/1.1 200"));

  stop();

  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(HttpServerTest, StopLetsResponsesBeFinished) {
  HttpLimits limits;
  limits.stop_max = test::default_deadline;
  start(limits);
  RawClient reading(unix_);
  reading.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(reading.receive_some(16), StartsWith("HTTP/1.1 200"));
  RawClient waiting(unix_);
  waiting.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(test::wait_until(
      [&] { return ask([](const HttpServer& s) { return s.stats().requests; }) == 2; }));

  auto rest = std::async(std::launch::async, [&] { return reading.receive_all().size(); });
  stop();

  EXPECT_GT(rest.get(), 20'000'000U);
  const std::string answer = waiting.receive_all();
  EXPECT_THAT(answer, HasSubstr("GET /slow\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
}

}  // namespace
}  // namespace qemon::daemon
