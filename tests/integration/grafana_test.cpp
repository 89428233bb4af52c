// A Grafana that hangs, refuses or is not there is in nobody's way, and it is said what is wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include "tests/support/daemon.hpp"
#include "tests/support/fake_grafana.hpp"
#include "tests/support/fake_qemu.hpp"
#include "tests/support/files.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Seconds = std::chrono::duration<double>;

/// How long Grafana may take to answer.
constexpr Seconds grafana_deadline{10};
/// Whoever waited for this one would wait as long; under a sanitizer all else may take that.
constexpr Seconds answer_bound{sanitized ? 20 : 5};

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class WithGrafana : public testing::Test {
 protected:
  WithGrafana() {
    vms.add("web1");
    write_file(directory / "token", "glsa_secret\n");
    ::chmod((directory / "token").c_str(), 0640);
  }
  [[nodiscard]] std::string home() const { return directory.path().string(); }
  [[nodiscard]] QemondOptions options() const {
    QemondOptions options;
    options.vms = {{"web1", vms.address("web1")}};
    options.arguments = {"--config", directory / "qemond.yaml"};
    return options;
  }
  void configure(const std::string& more = {}) const {
    write_file(directory / "qemond.yaml", "grafana:\n  url: " + grafana.url() + "\n  token_file: " +
                                              (directory / "token") + "\n" + more);
  }
  static std::optional<double> outcome(const Qemond& daemon, std::string_view name) {
    return daemon.scrape().get(series("qemond_annotations_total", {{"outcome", name}}));
  }
  static void mark(const Qemond& daemon, const std::string& text) {
    const auto done = daemon.qemon({"mark", text});
    EXPECT_EQ(done.status, ExitStatus{}) << done.err;
  }

  TempDir directory;
  FakeQemu vms{directory / "vms"};
  FakeGrafana grafana;
};

TEST_F(WithGrafana, ThatHangsNobodyWaits) {
  GrafanaAnswer silence;
  silence.how = GrafanaAnswer::How::hang;
  grafana.answer_always(silence);
  configure();
  Qemond daemon(home(), options());
  ASSERT_TRUE(daemon.wait_attached("web1"));
  Seconds longest_scrape{0};
  Seconds longest_command{0};
  const auto begin = steady_clock::now();

  for (int i = 0; i < 50; ++i) {
    auto before = steady_clock::now();
    mark(daemon, "mark " + std::to_string(i));
    longest_command = std::max<Seconds>(longest_command, steady_clock::now() - before);
    before = steady_clock::now();
    const auto scrape = daemon.scrape();
    longest_scrape = std::max<Seconds>(longest_scrape, steady_clock::now() - before);
    EXPECT_EQ(scrape.get("qemond_annotations_pending"), i + 1);
    EXPECT_EQ(scrape.get("qemond_marks_total"), i + 1);
  }

  std::cout << "while Grafana hangs: longest scrape " << longest_scrape.count()
            << " s, longest qemon mark " << longest_command.count() << " s\n";
  // The first annotation is tried again when it was not answered within that time.
  const auto attempts = static_cast<double>(grafana.requests().size());
  EXPECT_GE(attempts, 1);
  EXPECT_LE(attempts, 1 + Seconds(steady_clock::now() - begin) / grafana_deadline);
  EXPECT_LT(longest_scrape, answer_bound);
  EXPECT_LT(longest_command, answer_bound);
  const auto before = steady_clock::now();
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  const Seconds stop = steady_clock::now() - before;
  std::cout << "and qemond ended within " << stop.count() << " s\n";
  EXPECT_LT(stop, answer_bound + Seconds(1));
  EXPECT_THAT(daemon.log(), HasSubstr("grafana: annotations are dropped count="));
}

TEST_F(WithGrafana, ThatRefusesTheTokenItIsSaidOnceWhichFileToMend) {
  grafana.set_token("another");
  configure();
  const Qemond daemon(home(), options());

  for (int i = 0; i < 5; ++i) mark(daemon, "refused");

  ASSERT_TRUE(wait_until([&] { return outcome(daemon, "failed") == 5; }));
  EXPECT_EQ(count(daemon.log(), "grafana: annotations are not written"), 1U);
  EXPECT_THAT(daemon.log(), HasSubstr("reason=\"status 401 \"Invalid API key\": the token in " +
                                      (directory / "token") +
                                      " is not valid (any more): it should be one of a "
                                      "service account with the role Editor\""));
  // The next annotation takes the new one up, without a reload.
  write_file(directory / "token", "another");
  mark(daemon, "taken");
  ASSERT_TRUE(wait_until([&] { return outcome(daemon, "written") == 1; }));
  EXPECT_THAT(daemon.log(), HasSubstr("grafana: annotations are written again attempts_failed=5"));
  EXPECT_THAT(daemon.log(), Not(HasSubstr("glsa_secret")));
}

TEST_F(WithGrafana, ThatComesLateItIsToldEverything) {
  ReservedPort port;
  write_file(directory / "qemond.yaml",
             "grafana: {url: \"http://localhost:" + std::to_string(port.number()) + "\"}\n");
  const Qemond daemon(home(), options());
  mark(daemon, "early");
  ASSERT_TRUE(wait_until([&] {
    return daemon.log().find("no connection: Connection refused: retried") != std::string::npos;
  })) << daemon.log();
  EXPECT_EQ(daemon.scrape().get("qemond_annotations_pending"), 1);

  const FakeGrafana late(std::move(port));

  ASSERT_TRUE(wait_until([&] { return outcome(daemon, "written") == 1; })) << daemon.log();
  EXPECT_EQ(late.annotations().at(0).at("text"), "early");
}

TEST_F(WithGrafana, TheConfigurationCanBeLoadedAnew) {
  configure("  annotate: [events]\n");
  const Qemond daemon(home(), options());
  mark(daemon, "not wanted");
  EXPECT_EQ(daemon.scrape().get("qemond_annotations_pending"), 0);
  configure("  annotate: [marks]\n  tags: [lab]\n");

  EXPECT_EQ(daemon.qemon({"reload"}).status, ExitStatus{});
  mark(daemon, "wanted");

  ASSERT_TRUE(wait_until([&] { return outcome(daemon, "written") == 1; }));
  EXPECT_EQ(grafana.annotations().at(0).at("text"), "wanted");
  EXPECT_EQ(grafana.annotations().at(0).at("tags"),
            nlohmann::json::parse(R"(["qemon", "mark", "lab"])"));
}

TEST_F(WithGrafana, ATokenThatEverybodyMayReadIsWarnedOf) {
  ::chmod((directory / "token").c_str(), 0644);
  configure();
  const Qemond daemon(home(), options());

  EXPECT_THAT(daemon.log(), HasSubstr("grafana: everybody may read the token: chmod o-r " +
                                      (directory / "token")));
}

TEST_F(WithGrafana, MistakesAreFoundBeforeItRuns) {
  write_file(directory / "qemond.yaml",
             "vms: [{address: \"unix:/x\"}]\ngrafana:\n  url: grafana:3000\n  token_file: " +
                 (directory / "none") + "\n  annotate: [events, everything]\n  tokens: 1\n");
  auto done = run_program(
      {QEMON_TEST_BIN_DIR "/qemond", "--check", "--config", directory / "qemond.yaml"}, home());
  EXPECT_EQ(done.status, (ExitStatus{2, 0}));
  EXPECT_THAT(done.err, HasSubstr(":6: "));
  EXPECT_THAT(done.err, HasSubstr("tokens: there is no such key here"));

  write_file(directory / "qemond.yaml",
             "vms: [{address: \"unix:/x\"}]\ngrafana:\n  url: grafana:3000\n  annotate: [events, "
             "everything]\n");
  done = run_program(
      {QEMON_TEST_BIN_DIR "/qemond", "--check", "--config", directory / "qemond.yaml"}, home());
  EXPECT_EQ(done.status, (ExitStatus{2, 0}));
  EXPECT_THAT(done.err, AllOf(HasSubstr("qemond.yaml:3: url: \"grafana:3000\" is no address"),
                              HasSubstr("qemond.yaml:4: annotate: there is no \"everything\"")));

  done = run_program({QEMON_TEST_BIN_DIR "/qemond", "--check", "--vm", "x=unix:/x", "--grafana-url",
                      "http://127.0.0.1:3000", "--grafana-token-file", directory / "none"},
                     home());
  EXPECT_EQ(done.status, (ExitStatus{2, 0}));
  EXPECT_THAT(done.err, HasSubstr("qemond: grafana: token_file: " + (directory / "none") +
                                  ": No such file or directory\n"));

  done = run_program(
      {QEMON_TEST_BIN_DIR "/qemond", "--check", "--vm", "x=unix:/x", "--grafana-tags", "lab"},
      home());
  EXPECT_EQ(done.status, (ExitStatus{2, 0}));
  EXPECT_THAT(done.err, HasSubstr("grafana: it is not said where: give --grafana-url"));
}

TEST_F(WithGrafana, MarksAreRefusedThatAreNone) {
  configure();
  const Qemond daemon(home(), options());
  ASSERT_TRUE(daemon.wait_attached("web1"));

  EXPECT_THAT(daemon.qemon({"mark", "two\nlines"}).err, HasSubstr("UTF-8 on one line"));
  EXPECT_THAT(daemon.qemon({"mark", std::string(501, 'x')}).err, HasSubstr("more than 500"));
  EXPECT_THAT(daemon.qemon({"mark", "x", "--vm", "web9"}).err,
              HasSubstr("there is no VM web9: qemond watches web1"));
  EXPECT_THAT(daemon.qemon({"mark", "x", "--tag", std::string(65, 'x')}).err,
              HasSubstr("a tag must be 1 to 64 bytes"));
  EXPECT_EQ(http_request(daemon.control_socket(), "POST", "/v1/marks", R"({"text":7})").status,
            400);
  EXPECT_EQ(http_request(daemon.control_socket(), "POST", "/v1/marks", "[]").status, 400);
  EXPECT_EQ(http_request(daemon.control_socket(), "PUT", "/v1/marks", "{}").status, 405);
  EXPECT_EQ(daemon.scrape().get("qemond_marks_total"), 0);
  EXPECT_EQ(daemon.scrape().get(series("qemu_marks_total", {{"vm", "web1"}})), 0);

  EXPECT_EQ(daemon.qemon({"mark", "boot", "--vm", "web1"}).status, ExitStatus{});
  EXPECT_EQ(daemon.scrape().get(series("qemu_marks_total", {{"vm", "web1"}})), 1);
  EXPECT_THAT(daemon.log(), HasSubstr("web1: mark=1 text=\"boot\" by="));
}

}  // namespace
}  // namespace qemon::test
