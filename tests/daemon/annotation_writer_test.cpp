// AnnotationWriter against a server that answers as Grafana does, and in every wrong way.
#include "daemon/annotation_writer.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/daemon/annotation_writer_fixture.hpp"

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test::FakeGrafana;
using test::grafana_says;
using test::GrafanaAnswer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

GrafanaAnswer with(GrafanaAnswer answer, GrafanaAnswer::How how) {
  answer.how = how;
  return answer;
}

GrafanaAnswer raw(std::string text) {
  GrafanaAnswer answer;
  answer.text = std::move(text);
  return answer;
}

const GrafanaAnswer added = grafana_says(200, R"({"id":1,"message":"Annotation added"})");

TEST_F(Writer, WritesWhatHappenedWhen) {
  FakeGrafana grafana;
  grafana.set_token("glsa_secret");
  start(grafana.url());

  writer_->add(annotation("events on: a, b, by alice"));

  ASSERT_TRUE(wait_settled());
  expect_totals(1, 0, 0);
  ASSERT_EQ(grafana.requests().size(), 1U);
  const auto request = grafana.requests().front();
  EXPECT_THAT(request.head, StartsWith("POST /api/annotations HTTP/1.1\r\n"));
  EXPECT_THAT(request.head, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_EQ(request.authorization, "Bearer glsa_secret");
  EXPECT_EQ(nlohmann::json::parse(request.body), nlohmann::json::parse(R"({
      "time": 1795377070851, "text": "events on: a, b, by alice",
      "tags": ["qemon", "events", "web1"]})"));
}

TEST_F(Writer, WritesARegionOfOneDashboardWithTagsOfTheUsers) {
  FakeGrafana grafana;
  settings_.dashboard = "abc-123";
  settings_.tags = {"lab", "qemon"};
  start(grafana.url());
  auto region = annotation("boot", "experiment");
  region.end = region.begin + 1500ms;
  region.tags = {"run-7"};

  writer_->add(region);

  ASSERT_TRUE(wait_settled());
  EXPECT_THAT(grafana.annotations(), ElementsAre(nlohmann::json::parse(R"({
      "dashboardUID": "abc-123", "time": 1795377070851, "timeEnd": 1795377072351, "text": "boot",
      "tags": ["qemon", "experiment", "web1", "run-7", "lab"]})")));
}

TEST_F(Writer, LeavesOutWhatIsNotWanted) {
  FakeGrafana grafana;
  settings_.topics = {{"budget", "marks"}};
  start(grafana.url());

  writer_->add(annotation("1", "events"));
  writer_->add(annotation("2", "mark"));
  writer_->add(annotation("3", "budget"));
  writer_->add(annotation("4", "qmp"));

  ASSERT_TRUE(wait_settled());
  EXPECT_THAT(written(grafana), ElementsAre("2", "3"));
  expect_totals(2, 0, 0);
}

TEST_F(Writer, KeepsTheOrder) {
  FakeGrafana grafana;
  start(grafana.url());
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i) texts.push_back(std::to_string(i));

  for (const auto& text : texts) writer_->add(annotation(text));

  ASSERT_TRUE(wait_settled());
  EXPECT_EQ(written(grafana), texts);
}

TEST_F(Writer, DoesNothingWithoutAGrafana) {
  start("");

  writer_->add(annotation("nobody"));

  EXPECT_EQ(writer_->pending(), 0U);
  expect_totals(0, 0, 0);
}

struct Trouble {
  std::string name;
  GrafanaAnswer answer;
};

std::string name_of(const testing::TestParamInfo<Trouble>& trouble) {
  return trouble.param.name;
}

class WriterRetries : public Writer, public testing::WithParamInterface<Trouble> {};

TEST_P(WriterRetries, UntilItIsWritten) {
  FakeGrafana grafana;
  grafana.answer_next(GetParam().answer);
  grafana.answer_next(GetParam().answer);
  // Long enough for a machine that is busy; only answers that never come whole wait for it.
  if (GetParam().answer.how != GrafanaAnswer::How::whole) options_.deadlines.read = 1s;
  start(grafana.url());

  writer_->add(annotation("first"));
  writer_->add(annotation("second"));

  ASSERT_TRUE(wait_settled());
  expect_totals(2, 0, 0);
  EXPECT_EQ(grafana.requests().size(), 4U);
  EXPECT_THAT(written(grafana), ElementsAre("first", "second"));
}

INSTANTIATE_TEST_SUITE_P(
    After, WriterRetries,
    testing::Values(
        Trouble{"InternalServerError", grafana_says(500, R"({"message":"database is locked"})")},
        Trouble{"BadGateway", grafana_says(502, "<html>nginx</html>")},
        Trouble{"Unavailable", grafana_says(503, "")},
        Trouble{"TooManyRequests", grafana_says(429, "{}", "Retry-After: 0")},
        Trouble{"TooManyRequestsWithADate",
                grafana_says(429, "{}", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT")},
        Trouble{"Silence", with(added, GrafanaAnswer::How::hang)},
        Trouble{"HalfAnAnswer", with(added, GrafanaAnswer::How::cut)},
        Trouble{"TooSlowAnAnswer",
                with(grafana_says(200, std::string(500, ' ')), GrafanaAnswer::How::trickle)},
        Trouble{"ClosedConnection", raw("")}, Trouble{"Garbage", raw("Segmentation fault\r\n\r\n")},
        Trouble{"HalfAHeader", raw("HTTP/1.1 200 OK\r\nContent-Le")},
        Trouble{"TooLongAHeader",
                raw("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n")}),
    name_of);

class WriterFails : public Writer, public testing::WithParamInterface<Trouble> {};

TEST_P(WriterFails, OnceAndGoesOnWithTheNext) {
  FakeGrafana grafana;
  grafana.answer_next(GetParam().answer);
  start(grafana.url());

  writer_->add(annotation("refused"));
  writer_->add(annotation("next"));

  ASSERT_TRUE(wait_settled());
  expect_totals(1, 1, 0);
  EXPECT_EQ(grafana.requests().size(), 2U);
  EXPECT_THAT(written(grafana), ElementsAre("next"));
}

INSTANTIATE_TEST_SUITE_P(
    After, WriterFails,
    testing::Values(
        Trouble{"BadRequest", grafana_says(400, R"({"message":"bad request data"})")},
        Trouble{"Unauthorized", grafana_says(401, R"({"message":"Invalid API key"})")},
        Trouble{"Forbidden",
                grafana_says(403, R"({"message":"You'll need additional permissions"})")},
        Trouble{"NotFound", grafana_says(404, "nginx")},
        Trouble{"Redirection", grafana_says(302, "", "Location: https://grafana.example/login")},
        Trouble{"SomebodyElse", grafana_says(200, "<html>It works!</html>")},
        Trouble{"NoId", grafana_says(200, R"({"message":"Annotation added"})")},
        Trouble{"HugeAnswer", grafana_says(200, std::string(10'000'000, 'x'))}),
    name_of);

TEST_F(Writer, TakesASlowAnswer) {
  FakeGrafana grafana;
  options_.deadlines.read = 60s;
  grafana.answer_next(with(added, GrafanaAnswer::How::trickle));
  start(grafana.url());

  writer_->add(annotation("slow"));

  ASSERT_TRUE(wait_settled());
  expect_totals(1, 0, 0);
  EXPECT_EQ(grafana.requests().size(), 1U);
}

TEST_F(Writer, WaitsAsLongAsItIsAskedTo) {
  FakeGrafana grafana;
  grafana.answer_next(grafana_says(429, "{}", "Retry-After: 1"));
  start(grafana.url());

  writer_->add(annotation("later"));

  ASSERT_TRUE(wait_settled());
  ASSERT_EQ(grafana.requests().size(), 2U);
  EXPECT_GE(grafana.requests()[1].time - grafana.requests()[0].time, 1s);
}

TEST_F(Writer, WaitsLongerFromTimeToTime) {
  options_.backoff_first = 40ms;
  options_.backoff_max = 160ms;
  FakeGrafana grafana;
  for (int i = 0; i < 5; ++i) grafana.answer_next(grafana_says(503, ""));
  start(grafana.url());

  writer_->add(annotation("at last"));

  ASSERT_TRUE(wait_settled());
  const auto requests = grafana.requests();
  ASSERT_EQ(requests.size(), 6U);
  // At least half of 40, 80, 160, 160, 160 ms.
  EXPECT_GE(requests[1].time - requests[0].time, 20ms);
  EXPECT_GE(requests[2].time - requests[1].time, 40ms);
  EXPECT_GE(requests[3].time - requests[2].time, 80ms);
  EXPECT_GE(requests[5].time - requests[0].time, 300ms);
}

TEST_F(Writer, WritesWhenGrafanaComesUp) {
  test::ReservedPort port;
  start("http://127.0.0.1:" + std::to_string(port.number()));

  writer_->add(annotation("before it was there"));
  EXPECT_FALSE(test::wait_until(
      [&] {
        context_.poll();
        return writer_->pending() == 0;
      },
      200ms));
  const FakeGrafana grafana(std::move(port));

  ASSERT_TRUE(wait_settled());
  EXPECT_THAT(written(grafana), ElementsAre("before it was there"));
  expect_totals(1, 0, 0);
}

TEST_F(Writer, DropsTheOldestOfTooMany) {
  options_.pending_max = 3;
  FakeGrafana grafana;
  grafana.answer_always(grafana_says(503, ""));
  start(grafana.url());
  writer_->add(annotation("0"));
  ASSERT_TRUE(wait([&] { return grafana.requests().size() >= 2; }));

  for (int i = 1; i < 10; ++i) writer_->add(annotation(std::to_string(i)));

  EXPECT_EQ(writer_->pending(), 4U);  // The one that is being written besides.
  expect_totals(0, 0, 6);
  grafana.answer_always(std::nullopt);
  ASSERT_TRUE(wait_settled());
  EXPECT_THAT(written(grafana), ElementsAre("0", "7", "8", "9"));
  expect_totals(4, 0, 6);
}

TEST_F(Writer, GivesAnAnnotationUpThatGrafanaCannotTake) {
  options_.attempts_max = 4;
  FakeGrafana grafana;
  for (int i = 0; i < 4; ++i) grafana.answer_next(grafana_says(500, R"({"message":"oops"})"));
  start(grafana.url());

  writer_->add(annotation("poison"));
  writer_->add(annotation("next"));

  ASSERT_TRUE(wait_settled());
  expect_totals(1, 1, 0);
  EXPECT_THAT(written(grafana), ElementsAre("next"));
}

TEST_F(Writer, TakesUpATokenThatWasChanged) {
  FakeGrafana grafana;
  grafana.set_token("new");
  start(grafana.url());
  test::write_file(settings_.token_file, "  new\n");

  writer_->add(annotation("with the new one"));

  ASSERT_TRUE(wait_settled());
  expect_totals(1, 0, 0);
  ASSERT_EQ(grafana.requests().size(), 2U);
  EXPECT_EQ(grafana.requests()[0].authorization, "Bearer glsa_secret");
  EXPECT_EQ(grafana.requests()[1].authorization, "Bearer new");
}

TEST_F(Writer, WaitsForATokenThatIsNotThere) {
  std::filesystem::remove(settings_.token_file);
  FakeGrafana grafana;
  grafana.set_token("late");
  start(grafana.url());
  writer_->add(annotation("patience"));
  EXPECT_FALSE(test::wait_until(
      [&] {
        context_.poll();
        return writer_->pending() == 0;
      },
      100ms));

  test::write_file(settings_.token_file, "late");

  ASSERT_TRUE(wait_settled());
  expect_totals(1, 0, 0);
  EXPECT_EQ(grafana.requests().size(), 1U);
}

TEST_F(Writer, SendsNoTokenIfNoneIsConfigured) {
  settings_.token_file.clear();
  FakeGrafana grafana;
  start(grafana.url());

  writer_->add(annotation("anonymous"));

  ASSERT_TRUE(wait_settled());
  EXPECT_EQ(grafana.requests().front().authorization, "");
}

TEST_F(Writer, IsToldOfAnotherGrafana) {
  FakeGrafana other;
  FakeGrafana grafana;
  grafana.answer_always(grafana_says(503, ""));
  start(grafana.url());
  writer_->add(annotation("moved"));
  ASSERT_TRUE(wait([&] { return !grafana.requests().empty(); }));
  settings_.url = other.url("localhost");

  writer_->configure(settings_);

  ASSERT_TRUE(wait_settled());
  EXPECT_THAT(written(other), ElementsAre("moved"));
  settings_.url.clear();
  writer_->configure(settings_);
  writer_->add(annotation("not wanted"));
  EXPECT_EQ(writer_->pending(), 0U);
}

TEST_F(Writer, KeepsWhatIsForAHostThatIsNotKnown) {
  start("http://no-such-host.invalid:3000");

  writer_->add(annotation("kept"));

  EXPECT_FALSE(test::wait_until(
      [&] {
        context_.poll();
        return writer_->pending() == 0;
      },
      200ms));
  expect_totals(0, 0, 0);
}

TEST_F(Writer, WritesWhatIsPendingBeforeItStops) {
  FakeGrafana grafana;
  start(grafana.url());
  for (int i = 0; i < 5; ++i) writer_->add(annotation(std::to_string(i)));

  test::run(context_, writer_->stop());

  EXPECT_TRUE(wait([this] { return ended_; }));
  EXPECT_EQ(written(grafana).size(), 5U);
  expect_totals(5, 0, 0);
}

TEST_F(Writer, StopsInTimeWhenGrafanaHangs) {
  options_.deadlines.read = 60s;
  FakeGrafana grafana;
  grafana.answer_always(with(added, GrafanaAnswer::How::hang));
  start(grafana.url());
  for (int i = 0; i < 5; ++i) writer_->add(annotation(std::to_string(i)));
  ASSERT_TRUE(wait([&] { return !grafana.requests().empty(); }));
  const auto before = steady_clock::now();

  test::run(context_, writer_->stop());

  EXPECT_GE(steady_clock::now() - before, 1s);
  EXPECT_LT(steady_clock::now() - before, 10s);
  expect_totals(0, 0, 5);
  EXPECT_EQ(writer_->pending(), 0U);
}

TEST_F(Writer, StopsAtOnceWhenGrafanaIsNotThere) {
  std::optional<FakeGrafana> grafana(std::in_place);
  const auto url = grafana->url();
  grafana.reset();
  options_.stop_max = 60s;
  start(url);
  for (int i = 0; i < 5; ++i) writer_->add(annotation(std::to_string(i)));
  const auto before = steady_clock::now();

  test::run(context_, writer_->stop());

  EXPECT_LT(steady_clock::now() - before, 30s);
  expect_totals(0, 0, 5);
}

}  // namespace
}  // namespace qemon::daemon
