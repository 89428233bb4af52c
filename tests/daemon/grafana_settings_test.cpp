#include "daemon/grafana_settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(GrafanaUrl, IsTakenApart) {
  const auto plain = parse_grafana_url("http://127.0.0.1:3000");
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->tls);
  EXPECT_EQ(plain->host, "127.0.0.1");
  EXPECT_EQ(plain->port, 3000);
  EXPECT_EQ(plain->authority, "127.0.0.1:3000");
  EXPECT_EQ(plain->path, "");

  const auto below = parse_grafana_url("https://example.org/monitoring/grafana/");
  ASSERT_TRUE(below);
  EXPECT_TRUE(below->tls);
  EXPECT_EQ(below->host, "example.org");
  EXPECT_EQ(below->port, 443);
  EXPECT_EQ(below->authority, "example.org");
  EXPECT_EQ(below->path, "/monitoring/grafana");

  const auto v6 = parse_grafana_url("http://[::1]/");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->port, 80);
  EXPECT_EQ(v6->authority, "[::1]");
}

TEST(GrafanaUrl, IsRefusedIfItIsNone) {
  for (const std::string url :
       {"", "grafana:3000", "ftp://grafana", "http://", "http:///x", "http://host:",
        "http://host:0", "http://host:65536", "http://host:30x", "http://user:secret@host",
        "http://user@host", "http://[::1", "http://[grafana]", "http://::1", "http://host/a?b",
        "http://host/#d", "http://ho st", "http://host/\r\nX: y", "http://h\xc3\xb6st"}) {
    const auto parsed = parse_grafana_url(url);

    ASSERT_FALSE(parsed) << url;
    EXPECT_THAT(parsed.error().detail, HasSubstr("write http://HOST:PORT or https://HOST:PORT"));
  }
}

std::vector<std::string> lines(const GrafanaSettings& settings) {
  std::vector<std::string> all;
  for (const auto& [key, why] : mistakes_in(settings)) all.push_back(key + ": " + why);
  return all;
}

TEST(GrafanaSettings, SayWhatIsWrongWithThem) {
  GrafanaSettings settings;
  EXPECT_THAT(lines(settings), IsEmpty());
  settings.url = "http://127.0.0.1:3000";
  settings.tags = {"lab", "x=1"};
  settings.topics = {{"events", "marks"}};
  settings.dashboard = "abc_-9";
  EXPECT_THAT(lines(settings), IsEmpty());

  settings.tags = {"lab", "two\nlines", std::string(65, 'x')};
  settings.topics = {{"events", "everything"}};
  settings.dashboard = "a b";
  EXPECT_THAT(lines(settings),
              ElementsAre(HasSubstr("dashboard: \"a b\" is no uid"),
                          HasSubstr("tags: \"two\nlines"), HasSubstr("tags: \"xxx"),
                          "annotate: there is no \"everything\": write some of events, budget, "
                          "qmp, marks, experiments"));
  settings.tags.assign(11, "x");
  EXPECT_THAT(lines(settings), testing::Contains("tags: there are more than 10"));
}

TEST(GrafanaSettings, LackTheUrlIfAnythingElseIsTold) {
  GrafanaSettings settings;
  EXPECT_FALSE(lacks_url(settings));
  settings.token_file = "/etc/qemon/grafana.token";
  EXPECT_TRUE(lacks_url(settings));
  settings.url = "http://127.0.0.1:3000";
  EXPECT_FALSE(lacks_url(settings));
}

TEST(GrafanaSettings, SayWhatIsWanted) {
  GrafanaSettings settings;
  EXPECT_TRUE(wants(settings, "mark"));
  settings.topics = {{"marks", "experiments"}};
  EXPECT_TRUE(wants(settings, "mark"));
  EXPECT_TRUE(wants(settings, "experiment"));
  EXPECT_FALSE(wants(settings, "events"));
}

TEST(GrafanaToken, IsOneLine) {
  const test::TempDir directory;
  const std::string path = directory / "token";
  test::write_file(path, "  glsa_abc\n\n");
  EXPECT_EQ(read_token(path).value(), "glsa_abc");

  for (const std::string text : {"", "\n", "two words", "two\nlines", "caf\xc3\xa9", "a\tb"}) {
    test::write_file(path, text);
    const auto token = read_token(path);
    ASSERT_FALSE(token) << text;
    EXPECT_THAT(token.error().detail, HasSubstr(path + ": "));
  }
  EXPECT_THAT(read_token(directory / "none").error().detail,
              HasSubstr("none: No such file or directory"));
  EXPECT_THAT(read_token(directory.path().string()).error().detail, HasSubstr("no regular file"));
}

TEST(GrafanaFiles, AreCheckedBeforeTheyAreUsed) {
  const test::TempDir directory;
  GrafanaSettings settings;
  EXPECT_THAT(unusable_files(settings), IsEmpty());
  settings.token_file = directory / "token";
  settings.ca_file = directory / "ca.pem";
  test::write_file(settings.ca_file, "no certificate");

  EXPECT_THAT(unusable_files(settings), ElementsAre(HasSubstr("grafana: token_file: "),
                                                    "grafana: ca_file: " + settings.ca_file +
                                                        ": has no certificate in PEM form"));
}

}  // namespace
}  // namespace qemon::daemon
