// What clients do wrong, or to do harm, to a running qemond: each is answered or ended, counted,
// and in nobody's way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <iterator>
#include <memory>

#include "tests/support/daemon.hpp"
#include "tests/support/fake_qemu.hpp"
#include "tests/support/raw_client.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::test {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int many_vms = thread_sanitized ? 20 : 100;

class HttpAbuse : public testing::Test {
 protected:
  void start(int vms = 1, const std::vector<std::string>& before = {}) {
    for (int i = 0; i < vms; ++i) fakes.add("vm" + std::to_string(i));
    QemondOptions options;
    options.arguments = {"--discover", directory / "vms/*.qmp"};
    options.before = before;
    daemon = std::make_unique<Qemond>(directory.path(), options);
    ASSERT_TRUE(wait_until([&] { return daemon->scrape().count("qemu_up") == unsigned(vms); }));
    ASSERT_TRUE(wait_until([&] { return up() == vms; }));
  }

  [[nodiscard]] int up() const {
    double sum = 0;
    const Metrics metrics = daemon->scrape();
    for (const auto& [name, value] : metrics.samples())
      if (name.starts_with("qemu_up{")) sum += value;
    return static_cast<int>(sum);
  }
  [[nodiscard]] double figure(const std::string& name) const {
    return daemon->scrape().get(name).value_or(-1);
  }
  [[nodiscard]] RawClient web() const { return RawClient(daemon->tcp_address()); }
  [[nodiscard]] RawClient control() const { return RawClient(daemon->control_socket()); }

  void expect_others_are_served() const {
    const HttpResponse scrape = http_get(daemon->tcp_address(), "/metrics");
    EXPECT_EQ(scrape.status, 200) << scrape.body;
    EXPECT_THAT(scrape.body, HasSubstr("qemu_up{vm=\"vm0\"} 1\n"));
    const Finished status = daemon->qemon({"status"});
    EXPECT_EQ(status.status, ExitStatus{}) << status.err;
    EXPECT_THAT(status.out, HasSubstr("vm0: attached"));
  }

  TempDir directory;
  FakeQemu fakes{directory / "vms"};
  std::unique_ptr<Qemond> daemon;
};

struct WrongRequest {
  const char* name;
  std::string bytes;
  const char* status;  ///< How the answer begins, after "HTTP/1.1 ".
  const char* line;    ///< Its body.
};

const std::string host = "Host: x\r\n";
const char* const read_only =
    "this address is read-only: control is on the Unix socket, with qemon";

std::string of(const std::string& first_line, const std::string& fields = host) {
  return first_line + "\r\n" + fields + "\r\n";
}

/// Each ends the connection or asks for that, so that its answer is all that comes.
std::vector<WrongRequest> wrong_requests() {
  const std::string post = "POST /metrics HTTP/1.1";
  const std::string get = "GET /metrics HTTP/1.1";
  const std::string end = host + "Connection: close\r\n";
  const char* const one_host = "a request has one Host field, and this one has none";
  const char* const chunked = "Transfer-Encoding: only chunked is understood, in HTTP/1.1";
  const char* const long_header = "the header is longer than 8192 bytes";
  const char* const bad_length = "not an HTTP request: bad Content-Length";
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  return {
      {"Garbage", "hello\r\n\r\n", "400 ", "not an HTTP request: bad method"},
      {"Zeros", std::string(100, '\0'), "400 ", "not an HTTP request: bad method"},
      {"TlsClientHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, "400 ",
       "TLS is not spoken here: use http:// instead of https://"},
      {"Http09", "GET /metrics\r\n\r\n", "400 ", "not an HTTP request: bad target"},
      {"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 ",
       "HTTP/1.0 and HTTP/1.1 are spoken here, and no other version"},
      {"Http99", of("GET / HTTP/9.9"), "505 ",
       "HTTP/1.0 and HTTP/1.1 are spoken here, and no other version"},
      {"LongRequestLine", of("GET /" + std::string(10'000, 'a') + " HTTP/1.1"), "414 ",
       "the request line is longer than 8192 bytes"},
      {"LongField", of(get, host + "X: " + std::string(10'000, 'a') + "\r\n"), "431 ", long_header},
      {"ManyFields", of(get, host + many), "431 ", long_header},
      {"NoHost", of(get, ""), "400 ", one_host},
      {"TwoHosts", of(get, host + host), "400 ",
       "a request has one Host field, and this one has 2"},
      {"NulInTarget", of("GET /met\0rics HTTP/1.1"s), "400 ", "not an HTTP request: bad target"},
      {"NulEscaped", of("GET /%00 HTTP/1.1", end), "400 ",
       "the target of the request has a NUL byte"},
      {"BrokenEscape", of("GET /%zz HTTP/1.1", end), "400 ",
       "the target of the request has a % without two hexadecimal digits"},
      {"NulInField", of(get, host + "X: a\0b\r\n"s), "400 ", "not an HTTP request: bad value"},
      {"ControlByteInField", of(get, host + "X: a\x01z\r\n"), "400 ",
       "not an HTTP request: bad value"},
      {"BlankInFieldName", of(get, host + "X : a\r\n"), "400 ", "not an HTTP request: bad field"},
      {"BareLineFeeds", "GET /metrics HTTP/1.1\nHost: x\n\n", "400 ",
       "not an HTTP request: its lines end in LF alone instead of CR LF"},
      {"AuthorityAsTarget", of("GET x:80 HTTP/1.1", end), "400 ",
       "the target of the request is not a path"},
      {"AsteriskAsTarget", of("GET * HTTP/1.1", end), "400 ",
       "the target of the request is not a path"},
      {"LengthThatIsNone", of(post, host + "Content-Length: x\r\n"), "400 ", bad_length},
      {"NegativeLength", of(post, host + "Content-Length: -1\r\n"), "400 ", bad_length},
      {"SignedLength", of(post, host + "Content-Length: +3\r\n") + "abc", "400 ", bad_length},
      {"HugeLength", of(post, host + "Content-Length: 99999999999999999999999\r\n"), "400 ",
       bad_length},
      {"TwoLengths", of(post, host + "Content-Length: 3\r\nContent-Length: 4\r\n") + "abcd", "400 ",
       "not an HTTP request: multiple Content-Length"},
      {"LongBody", of(post, host + "Content-Length: 70000\r\n"), "413 ",
       "the body is longer than 65536 bytes"},
      {"LongChunkedBody",
       of(post, host + "Transfer-Encoding: chunked\r\n") + "11170\r\n" + std::string(70'000, 'x'),
       "413 ", "the body is longer than 65536 bytes"},
      {"ChunkThatIsNone", of(post, host + "Transfer-Encoding: chunked\r\n") + "xyz\r\n\r\n", "400 ",
       "not an HTTP request: bad chunk"},
      {"EndlessChunkExtension",
       of(post, host + "Transfer-Encoding: chunked\r\n") + "1;" + std::string(100'000, 'x'), "431 ",
       "the request has more around its body than fits into memory for it"},
      {"LengthAndChunked",
       of(post, host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", "400 ",
       "not an HTTP request: bad Transfer-Encoding"},
      {"ChunkedAndLength",
       of(post, host + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") + "0\r\n\r\n", "400 ",
       bad_length},
      {"OtherTransferEncoding",
       of(post, host + "Transfer-Encoding: gzip\r\nContent-Length: 3\r\n") + "abc", "501 ",
       chunked},
      {"TwoTransferEncodings", of(post, host + "Transfer-Encoding: gzip, chunked\r\n"), "501 ",
       chunked},
      {"ObfuscatedChunked", of(post, host + "Transfer-Encoding: xchunked\r\n"), "501 ", chunked},
      {"ChunkedInHttp10",
       of("POST /metrics HTTP/1.0", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", "501 ",
       chunked},
      {"OtherExpectation", of(get, host + "Expect: the unexpected\r\n"), "417 ",
       "Expect: only 100-continue is understood"},
      {"Options", of("OPTIONS /metrics HTTP/1.1", end), "405 ", read_only},
      {"OptionsOfServer", of("OPTIONS * HTTP/1.1", end), "405 ", read_only},
      {"Trace", of("TRACE /metrics HTTP/1.1", end), "405 ", read_only},
      {"Put", of("PUT /metrics HTTP/1.1", end + "Content-Length: 1\r\n") + "x", "405 ", read_only},
      {"Post", of(post, end + "Content-Length: 1\r\n") + "x", "405 ", read_only},
      {"Delete", of("DELETE /metrics HTTP/1.1", end), "405 ", read_only},
      {"Connect", of("CONNECT x:443 HTTP/1.1", end), "405 ", read_only},
      {"UnknownMethod", of("BREW /metrics HTTP/1.1", end), "405 ", read_only},
      {"LowerCaseMethod", of("get /metrics HTTP/1.1", end), "405 ", read_only},
      {"UnknownPath", of("GET /../etc/passwd HTTP/1.1", end), "404 ",
       "nothing here: see / for what there is"},
      {"NoCodingLeft", of(get, end + "Accept-Encoding: br, *;q=0\r\n"), "406 ",
       "Accept-Encoding takes neither of gzip and identity"},
  };
}

/// Sends it, expects its status and its line, and returns the whole answer.
template <typename Wrong>
std::string expect_refused(RawClient client, const Wrong& wrong) {
  client.send(wrong.bytes);
  std::string answer = client.receive_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 "s + wrong.status));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"s + wrong.line + "\n"));
  return answer;
}

TEST_F(HttpAbuse, EachWrongRequestGetsAStatusAndOneLine) {
  start();
  const double bad_before = figure("qemond_http_bad_requests_total");
  unsigned bad = 0;

  for (const auto& wrong : wrong_requests()) {
    SCOPED_TRACE(wrong.name);
    const std::string answer = expect_refused(web(), wrong);
    EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
    if (wrong.line == read_only) {
      EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
    }
    if (!answer.starts_with("HTTP/1.1 40") || answer.starts_with("HTTP/1.1 400")) ++bad;
  }

  EXPECT_EQ(figure("qemond_http_bad_requests_total") - bad_before, bad);
  expect_others_are_served();
}

/// The same server, but for what handlers say.
TEST_F(HttpAbuse, TheControlSocketRefusesTheSame) {
  start();

  for (const auto& wrong : wrong_requests()) {
    if (wrong.status == "405 "s || wrong.status == "404 "s || wrong.status == "406 "s) continue;
    SCOPED_TRACE(wrong.name);
    expect_refused(control(), wrong);
  }
  for (const char* method : {"OPTIONS", "TRACE", "PUT", "DELETE", "BREW"}) {
    RawClient client = control();
    client.send(of(method + " /v1/status HTTP/1.1"s, host + "Connection: close\r\n"));
    const std::string answer = client.receive_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 ")) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: GET\r\n")) << method;
    EXPECT_THAT(answer, HasSubstr("{\"error\":\"this address takes GET only\"}")) << method;
  }

  expect_others_are_served();
}

TEST_F(HttpAbuse, UnusualRequestsThatAreRightAreAnswered) {
  start();
  const std::string end = host + "Connection: close\r\n";
  const std::string get = "GET /metrics HTTP/1.1";

  for (const auto& [name, bytes] : std::vector<std::pair<std::string, std::string>>{
           {"AbsoluteTarget", of("GET http://x/metrics?a=b HTTP/1.1", end)},
           {"Http10", of("GET /metrics HTTP/1.0", "")},
           {"FoldedField", of(get, end + "X: a\r\n b\r\n")},
           {"ChunkedBody",
            of(get, end + "Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n0\r\n\r\n"},
           {"Range", of(get, end + "Range: bytes=0-3\r\n")},
           {"Conditional", of(get, end + "If-Modified-Since: Wed, 25 Nov 2037 10:00:00 GMT\r\n"
                                         "If-None-Match: *\r\n")},
           {"UpgradeToHttp2", of(get, host + "Connection: close, Upgrade\r\nUpgrade: h2c\r\n")},
           {"ExpectationInHttp10",
            of("GET /metrics HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n") + "x"},
           {"EmptyLinesBefore", "\r\n\r\n" + of(get, end)},
           {"BytesAboveAscii", of("GET /metrics?\xff\xfe HTTP/1.1", end + "X: \xff\r\n")}}) {
    SCOPED_TRACE(name);
    RawClient client = web();
    client.send(bytes);
    const std::string answer = client.receive_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1."));
    EXPECT_EQ(answer.substr(8, 5), " 200 ") << answer.substr(0, 300);
    EXPECT_THAT(answer, HasSubstr("qemu_up{vm=\"vm0\"} 1\n"));
  }
}

TEST_F(HttpAbuse, KeepsAConnectionOfHttp10IfAsked) {
  start();
  RawClient client = web();

  client.send("GET /-/healthy HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(client.receive_until("Healthy.\n"), HasSubstr("Connection: keep-alive\r\n"));
  client.send("GET /-/healthy HTTP/1.0\r\n\r\n");

  EXPECT_THAT(client.receive_all(), HasSubstr("Healthy.\n"));
}

TEST_F(HttpAbuse, AnswersManyPipelinedRequestsUpToTheOneThatEndsThem) {
  start();
  RawClient client = web();
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += of("GET /-/healthy HTTP/1.1");
  const std::string last = of("GET /-/healthy HTTP/1.1", host + "Connection: close\r\n");

  client.send(requests + last + requests);
  const std::string answers = client.receive_all();

  std::size_t count = 0;
  for (auto at = answers.find("Healthy."); at != std::string::npos; ++count)
    at = answers.find("Healthy.", at + 1);
  EXPECT_EQ(count, 501U);
}

TEST_F(HttpAbuse, ConnectionsThatDoNothingGiveWayToOthers) {
  start();
  std::vector<std::unique_ptr<RawClient>> idle;

  for (int i = 0; i < 300; ++i) {
    idle.push_back(std::make_unique<RawClient>(daemon->tcp_address()));
    idle.push_back(std::make_unique<RawClient>(daemon->control_socket()));
    if (i % 3 == 0) idle.back()->send("GET /v1/sta");
    if (i % 3 == 1) idle[idle.size() - 2]->send("GET /met");
  }

  expect_others_are_served();
  EXPECT_TRUE(wait_until([&] { return figure("qemond_http_evictions_total") >= 300; }));
  EXPECT_LE(figure("qemond_http_connections"), 2 * 128);
}

TEST_F(HttpAbuse, ConnectionsThatAreResetAtAnyPointLeaveNothing) {
  start();
  const std::string request = of("GET /metrics HTTP/1.1");

  for (std::size_t length = 0; length <= request.size(); ++length) {
    RawClient client = web();
    client.send(request.substr(0, length));
    client.reset();
  }

  expect_others_are_served();
  EXPECT_TRUE(wait_until([&] { return figure("qemond_http_connections") == 1; }));
}

TEST_F(HttpAbuse, ReadersThatDoNotReadGiveWayToOthers) {
  start(many_vms);
  // More than the kernel takes for a client that does not read.
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += of("GET /metrics HTTP/1.1");
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(std::make_unique<RawClient>(daemon->tcp_address()));
    slow.back()->set_receive_buffer(4096);
    slow.back()->send(requests);
  }

  // Those that just began are left alone for a moment.
  EXPECT_TRUE(
      wait_until([&] { return http_get(daemon->tcp_address(), "/metrics").status == 200; }));
  expect_others_are_served();
  EXPECT_GE(figure("qemond_http_evictions_total"), 1);
}

TEST_F(HttpAbuse, VmsAndCommandsGoOnWithFewDescriptors) {
  start(4, {"prlimit", "--nofile=64:64"});
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 200; ++i) {
    idle.push_back(std::make_unique<RawClient>(daemon->tcp_address()));
    idle.push_back(std::make_unique<RawClient>(daemon->control_socket()));
  }

  expect_others_are_served();
  fakes.remove("vm3");
  EXPECT_TRUE(wait_until([&] { return up() == 3; }));
  fakes.add("vm3");
  EXPECT_TRUE(wait_until([&] { return up() == 4; }));
}

/// The limit of a process can be lowered while it runs, and then accepting fails.
TEST_F(HttpAbuse, ConnectionsThatDoNothingGiveUpTheirDescriptors) {
  start();
  const auto pid = daemon->process().pid();
  const auto files = std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd");
  const auto open = static_cast<rlim_t>(std::distance(begin(files), end(files)));
  rlimit limit{};
  ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, nullptr, &limit), 0);
  limit.rlim_cur = open + 10;
  ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, &limit, nullptr), 0);

  std::vector<std::unique_ptr<RawClient>> idle(60);
  for (auto& client : idle) client = std::make_unique<RawClient>(daemon->tcp_address());

  expect_others_are_served();
  EXPECT_GE(figure("qemond_http_accept_failures_total"), 1);
  EXPECT_GE(figure("qemond_http_evictions_total"), 40);
}

}  // namespace
}  // namespace qemon::test
