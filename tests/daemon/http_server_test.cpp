#include "daemon/http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <stdexcept>
#include <thread>

#include "tests/support/files.hpp"
#include "tests/support/raw_client.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::daemon {
namespace {

namespace asio = boost::asio;
using testing::HasSubstr;
using testing::StartsWith;

using test::RawClient;

asio::awaitable<HttpResponse> echo(HttpRequest request) {
  if (request.path == "/throw") throw std::runtime_error("no such luck");
  if (request.path == "/slow") {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(100));
    co_await timer.async_wait(asio::use_awaitable);
  }
  HttpResponse response;
  if (request.path == "/big") {
    response.body.assign(20'000'000, 'x');
  } else if (request.path == "/shared") {
    static const auto shared = std::make_shared<const std::string>(20'000'000, 'x');
    response.shared_body = shared;
  } else {
    response.body = request.method + " " + request.path;
    for (const auto& [key, value] : request.query) response.body += " " + key + "=" + value;
    if (request.peer && request.path == "/")
      response.body += " pid=" + std::to_string(request.peer->pid);
    if (!request.body.empty()) response.body += " body=" + request.body;
    response.body += "\n";
  }
  response.headers.emplace_back("Allow", "GET, HEAD");
  co_return response;
}

/// A server on its own thread.
class HttpServerTest : public testing::Test {
 protected:
  void start(HttpLimits limits = {}) {
    server_ = std::make_unique<HttpServer>(context_.get_executor(), limits);
    const Result<std::string> address = server_->listen_tcp("127.0.0.1:0", echo);
    ASSERT_TRUE(address.has_value()) << address.error().detail;
    tcp_ = *address;
    unix_ = dir_ / "control.sock";
    const Result<void> listening = server_->listen_unix(unix_, 0666, echo);
    ASSERT_TRUE(listening.has_value()) << listening.error().detail;
    thread_ = std::thread([this] { context_.run(); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    auto stopped = asio::co_spawn(context_, server_->stop(), asio::use_future);
    ASSERT_EQ(stopped.wait_for(test::default_deadline), std::future_status::ready);
    work_.reset();
    thread_.join();
    EXPECT_EQ(server_->connections(), 0U);
  }
  /// Asks the server's thread, which alone may look.
  template <typename Ask>
  auto ask(Ask question) {
    std::packaged_task<decltype(question(*server_))()> task([&] { return question(*server_); });
    auto answer = task.get_future();
    asio::post(context_, [&] { task(); });
    return answer.get();
  }
  void TearDown() override { stop(); }

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

  test::TempDir dir_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
  std::string tcp_;
  std::string unix_;
};

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

TEST_F(HttpServerTest, LimitsTheHeader) {
  start();
  RawClient client(tcp_);

  client.send("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n");

  EXPECT_THAT(client.receive_all(), StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, LimitsTheBodyDeclaredOrNot) {
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

TEST_F(HttpServerTest, ASlowReaderDoesNotHoldUpOthersAndIsCutOff) {
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

TEST_F(HttpServerTest, EndsConnectionsThatSendNothing) {
  HttpLimits limits;
  limits.idle_max = std::chrono::milliseconds(50);
  start(limits);
  RawClient silent(tcp_);

  EXPECT_EQ(silent.receive_all(), "");
  EXPECT_EQ(ask([](const HttpServer& s) { return s.stats().bad_requests; }), 0U);
}

TEST_F(HttpServerTest, EndsConnectionsThatSendTooSlowly) {
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

TEST_F(HttpServerTest, MakesRoomByEndingTheConnectionThatWaitedLongest) {
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

TEST_F(HttpServerTest, RefusesAConnectionWhenAllOthersAreBeingAnswered) {
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

TEST_F(HttpServerTest, RefusesRequestsWhileTooMuchWaitsForReadersOfThatListener) {
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

TEST_F(HttpServerTest, MakesRoomByEndingTheResponseThatTookLongest) {
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

TEST_F(HttpServerTest, EndsTheResponseThatTookLongestWhenTooMuchWaitsForReaders) {
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

TEST_F(HttpServerTest, CountsABodyThatManyShareOnce) {
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
