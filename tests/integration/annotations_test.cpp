// What happens on real VMs arrives at Grafana, with its time, tags and text.
#include <sys/stat.h>

#include <chrono>

#include "tests/integration/fixture.hpp"
#include "tests/support/fake_grafana.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class AnnotationsOn : public OnQemu {
 protected:
  AnnotationsOn() {
    grafana.set_token("glsa_secret");
    write_file(directory / "token", "glsa_secret\n");
    ::chmod((directory / "token").c_str(), 0600);
  }
  [[nodiscard]] QemondOptions annotating(const Qemu& vm,
                                         const std::vector<std::string>& more = {}) const {
    auto options = watching(vm);
    options.arguments.insert(options.arguments.end(),
                             {"--grafana-url", grafana.url(), "--grafana-token-file",
                              directory / "token", "--grafana-tags", "lab"});
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    return options;
  }
  /// The next annotation that nobody has seen yet; null if none comes.
  json next() {
    const auto seen = seen_++;
    if (!wait_until([&] { return grafana.annotations().size() > seen; })) return {};
    return grafana.annotations()[seen];
  }
  /// What `act` leads to, which is to have happened while it ran.
  template <typename Act>
  json after(Act act) {
    const auto before = now_ms();
    act();
    auto annotation = next();
    if (annotation.is_null()) return annotation;
    EXPECT_GE(annotation.at("time"), before - 1);
    EXPECT_LE(annotation.at("time"), now_ms());
    return annotation;
  }

  FakeGrafana grafana;

 private:
  std::size_t seen_ = 0;
};
ON_EACH_QEMU(AnnotationsOn);

TEST_P(AnnotationsOn, TellOfSwitchesAndMarks) {
  const Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), annotating(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  const auto events = json::parse(R"(["qemon", "events", "vm", "lab"])");

  auto told = after([&] { daemon.events_on({"virtio_blk_*"}); });
  EXPECT_THAT(told.at("text"), MatchesRegex("events on: virtio_blk_[a-z_]+, virtio_blk_[a-z_]+, "
                                            "virtio_blk_[a-z_]+, virtio_blk_[a-z_]+ and [0-9]+ "
                                            "more, by [a-z0-9_-]+"));
  EXPECT_EQ(told.at("tags"), events);
  // What was on already is no news.
  daemon.events_on({"virtio_blk_*"});
  told = after([&] { daemon.events_off({"*"}); });
  EXPECT_THAT(told.at("text"), StartsWith("events off: virtio_blk_"));

  told = after([&] { daemon.qemon({"pack", "on", "virtio-blk"}); });
  EXPECT_THAT(told.at("text"), StartsWith("packs on: virtio-blk, by "));
  told = after([&] { daemon.qemon({"pack", "off", "virtio-blk"}); });
  EXPECT_THAT(told.at("text"), StartsWith("packs off: virtio-blk, by "));
  EXPECT_EQ(told.at("tags"), events);

  told = after([&] { daemon.qemon({"mark", "cache dropped", "--vm", "vm", "--tag", "run-7"}); });
  EXPECT_EQ(told.at("text"), "cache dropped");
  EXPECT_EQ(told.at("tags"), json::parse(R"(["qemon", "mark", "vm", "run-7", "lab"])"));
  EXPECT_EQ(daemon.scrape().get(series("qemu_marks_total", {{"vm", "vm"}})), 1);
  EXPECT_EQ(daemon.scrape().get("qemond_marks_total"), 0);
  told = after([&] { daemon.qemon({"mark", "lunch"}); });
  EXPECT_EQ(told.at("tags"), json::parse(R"(["qemon", "mark", "lab"])"));
  EXPECT_EQ(daemon.scrape().get("qemond_marks_total"), 1);
  EXPECT_THAT(daemon.qemon({"mark", "--list"}).out,
              AllOf(HasSubstr("run-7  cache dropped\n"), HasSubstr("lunch\n")));

  // Grafana has the last one before qemond has its answer.
  EXPECT_TRUE(wait_until([&] { return daemon.scrape().get("qemond_annotations_pending") == 0; }));
  EXPECT_EQ(daemon.scrape().get(series("qemond_annotations_total", {{"outcome", "written"}})), 6);
}

TEST_P(AnnotationsOn, TellOfLeasesThatEnd) {
  const Qemu vm(GetParam(), directory / "vm");
  Qemond daemon(home(), annotating(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  daemon.qemon({"event", "on", "virtio_blk_handle_read", "--for", "500ms"});
  EXPECT_THAT(next().at("text"), StartsWith("events on: virtio_blk_handle_read, by "));
  EXPECT_THAT(next().at("text"),
              MatchesRegex("events off: virtio_blk_handle_read, lease 1 of .+ is over"));

  daemon.qemon({"pack", "on", "virtio-blk"});
  EXPECT_THAT(next().at("text"), StartsWith("packs on: virtio-blk"));
  daemon.qemon({"lease", "end", "2"});
  EXPECT_THAT(next().at("text"), StartsWith("packs off: virtio-blk, lease 2 ended by "));

  daemon.events_on({"virtio_blk_handle_write"});
  next();
  daemon.qemon({"restore"});
  EXPECT_THAT(next().at("text"), StartsWith("events off: virtio_blk_handle_write, restored by "));

  daemon.events_on({"virtio_blk_handle_read"});
  next();
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_EQ(next().at("text"), "events off: virtio_blk_handle_read, qemond leaves the VM");
}

TEST_P(AnnotationsOn, TellOfTheVm) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), annotating(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  auto told = after([&] { vm.monitor().execute("system_reset"); });

  EXPECT_EQ(told.at("text"), "RESET: host-qmp-system-reset, by the host");
  EXPECT_EQ(told.at("tags"), json::parse(R"(["qemon", "qmp", "vm", "RESET", "lab"])"));
}

TEST_P(AnnotationsOn, TellOfTheBudget) {
  Qemu vm(GetParam(), directory / "vm");
  const Qemond daemon(home(), annotating(vm, {"--grafana-annotate", "budget,marks", "--budget",
                                              "records=2000,lag=unlimited,grace=500ms"}));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  vm.guest().start_polling();

  const auto told = after([&] {
    daemon.events_on({"memory_region_ops_read"});
    EXPECT_TRUE(wait_until([&] { return !vm.monitor().event_enabled("memory_region_ops_read"); }));
  });

  EXPECT_THAT(told.at("text"),
              AllOf(StartsWith("events off until asked for again: memory_region_ops_read: "),
                    HasSubstr(" records/s in all, with a budget of 2,000")));
  EXPECT_EQ(told.at("tags"), json::parse(R"(["qemon", "budget", "vm", "lab"])"));
  vm.guest().stop();
}

}  // namespace
}  // namespace qemon::test
