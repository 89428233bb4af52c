#include "qmp/endpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qmp/error.hpp"

namespace qemon::qmp {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view text) {
  const auto endpoint = parse_endpoint(text);
  if (endpoint) return "no error";
  EXPECT_EQ(endpoint.error().code, errc::invalid_argument);
  EXPECT_EQ(endpoint.error().detail.find('\n'), std::string::npos);
  return endpoint.error().detail;
}

TEST(Endpoint, ReadsBackWhatItPrints) {
  for (const std::string text : {"unix:/run/vms/web1.qmp", "unix:relative:with:colons",
                                 "tcp:127.0.0.1:4444", "tcp:example.org:1", "tcp:[::1]:65535",
                                 "hmp:unix:/run/vms/web1.monitor", "hmp:tcp:localhost:55555"}) {
    const auto endpoint = parse_endpoint(text);

    ASSERT_TRUE(endpoint) << endpoint.error().detail;
    EXPECT_EQ(to_string(*endpoint), text);
  }
}

TEST(Endpoint, FillsItsFields) {
  const auto tcp = parse_endpoint("hmp:tcp:[fe80::1]:4444");
  const auto unix_socket = parse_endpoint("unix:/run/a b");

  ASSERT_TRUE(tcp);
  EXPECT_EQ(tcp->protocol, Protocol::hmp);
  EXPECT_EQ(tcp->transport, Transport::tcp);
  EXPECT_EQ(tcp->host, "fe80::1");
  EXPECT_EQ(tcp->port, 4444);
  ASSERT_TRUE(unix_socket);
  EXPECT_EQ(unix_socket->protocol, Protocol::qmp);
  EXPECT_EQ(unix_socket->path, "/run/a b");
}

TEST(Endpoint, SaysHowToWriteIt) {
  EXPECT_THAT(error_of("/run/vms/web1.qmp"), HasSubstr("write unix:PATH, tcp:HOST:PORT"));
  EXPECT_THAT(error_of("/run/vms/web1.qmp"), HasSubstr("\"/run/vms/web1.qmp\""));
  EXPECT_THAT(error_of(""), HasSubstr("write unix:PATH"));
  EXPECT_THAT(error_of("hmp:"), HasSubstr("write unix:PATH"));
  EXPECT_THAT(error_of("UNIX:/x"), HasSubstr("write unix:PATH"));
}

TEST(Endpoint, NamesWhatIsMissing) {
  EXPECT_THAT(error_of("unix:"), HasSubstr("the path is missing"));
  EXPECT_THAT(error_of("tcp:"), HasSubstr("the host is missing"));
  EXPECT_THAT(error_of("tcp::4444"), HasSubstr("the host is missing"));
  EXPECT_THAT(error_of("tcp:localhost"), HasSubstr("the port is missing"));
  EXPECT_THAT(error_of("tcp:localhost:"), HasSubstr("the port is missing"));
  EXPECT_THAT(error_of("tcp:[::1]"), HasSubstr("the port is missing"));
  EXPECT_THAT(error_of("tcp:[::1]4444"), HasSubstr("the port is missing"));
}

TEST(Endpoint, RefusesBadPorts) {
  for (const auto* text : {"tcp:a:0", "tcp:a:65536", "tcp:a:-1", "tcp:a:12x", "tcp:a: 12",
                           "tcp:a:0x10", "tcp:a:99999999999999999999"}) {
    EXPECT_THAT(error_of(text), HasSubstr("not a number from 1 to 65535")) << text;
  }
}

TEST(Endpoint, RefusesBadHosts) {
  EXPECT_THAT(error_of("tcp:::1:4444"), HasSubstr("in brackets"));
  EXPECT_THAT(error_of("tcp:[::1:4444"), HasSubstr("bracket is not closed"));
  EXPECT_THAT(error_of("tcp:[localhost]:4444"), HasSubstr("not an IPv6 address"));
  EXPECT_THAT(error_of("tcp:a b:4444"), HasSubstr("blanks"));
}

TEST(Endpoint, KeepsControlCharactersOutOfTheMessage) {
  EXPECT_EQ(error_of("x\n\x1b[2J").find('\x1b'), std::string::npos);
}

TEST(Endpoint, ChecksTheLengthOfASocketPath) {
  const std::string longest = "unix:/" + std::string(106, 'p');

  EXPECT_TRUE(parse_endpoint(longest));
  EXPECT_THAT(error_of(longest + "p"),
              HasSubstr("has 108 bytes and a Unix socket's path at most 107"));
  EXPECT_THAT(error_of(std::string_view("unix:/a\0b", 9)), HasSubstr("NUL"));
}

TEST(Endpoint, KnowsWhatIsOnThisHost) {
  for (const auto* text :
       {"unix:/x", "tcp:127.0.0.1:1", "tcp:127.8.9.1:1", "tcp:[::1]:1", "tcp:localhost:1"}) {
    EXPECT_TRUE(is_on_this_host(*parse_endpoint(text))) << text;
  }
  for (const auto* text :
       {"tcp:192.0.2.1:1", "tcp:[2001:db8::1]:1", "tcp:myself:1", "tcp:0.0.0.0:1"}) {
    EXPECT_FALSE(is_on_this_host(*parse_endpoint(text))) << text;
  }
}

}  // namespace
}  // namespace qemon::qmp
