// What is annotated and how it is said: switches, QMP events, marks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/utf8.hpp"
#include "daemon/marks.hpp"
#include "daemon/qmp_event_annotations.hpp"
#include "daemon/switch_annotation.hpp"

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(SwitchAnnotation, IsOneForOneAction) {
  SwitchAnnotation one("events on");
  one.add("web1", {"a", "b"});
  one.add("web2", {});
  const auto annotation = one.finish("by alice");
  ASSERT_TRUE(annotation);
  EXPECT_EQ(annotation->text, "events on: a, b, by alice");
  EXPECT_EQ(annotation->vm, "web1");
  EXPECT_EQ(annotation->kind, "events");
  EXPECT_THAT(annotation->tags, IsEmpty());
  EXPECT_FALSE(annotation->end);

  one.add("web3", {"b", "c"});
  const auto two = one.finish("by alice");
  EXPECT_EQ(two->text, "events on: a, b, c, on 2 VMs, by alice");
  EXPECT_EQ(two->vm, "");
  EXPECT_THAT(two->tags, ElementsAre("web1", "web3"));
}

TEST(SwitchAnnotation, IsNotTaggedWithEveryVmOfAHost) {
  SwitchAnnotation many("packs off");
  for (int i = 0; i < 1000; ++i) many.add("web" + std::to_string(i), {"irq"});

  const auto annotation = many.finish("by alice");

  EXPECT_EQ(annotation->text, "packs off: irq, on 1000 VMs, by alice");
  EXPECT_THAT(annotation->tags, IsEmpty());
}

TEST(SwitchAnnotation, IsNoneIfNothingWasSwitched) {
  SwitchAnnotation none("events on");
  none.add("web1", {});

  EXPECT_FALSE(none.finish("by alice"));
}

class QmpEvents : public testing::Test {
 protected:
  std::optional<Annotation> annotate(std::string_view name, const json& data,
                                     std::chrono::milliseconds after = 0ms) {
    now_ += after;
    return annotations_.annotate({name, data, time_}, now_);
  }
  std::string text(std::string_view name, const json& data) {
    const auto annotation = annotate(name, data);
    return annotation ? annotation->text : "";
  }

  QmpEventAnnotations annotations_;
  std::chrono::system_clock::time_point time_{1'795'377'070'851ms};
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
};

TEST_F(QmpEvents, AreToldWithTheirCause) {
  EXPECT_EQ(text("RESET", {{"guest", true}, {"reason", "guest-reset"}}),
            "RESET: guest-reset, by the guest");
  EXPECT_EQ(text("RESET", {{"guest", false}, {"reason", "host-qmp-system-reset"}}),
            "RESET: host-qmp-system-reset, by the host");
  EXPECT_EQ(text("SHUTDOWN", {{"guest", true}}), "SHUTDOWN, by the guest");
  EXPECT_EQ(text("SHUTDOWN", json::object()), "SHUTDOWN");
  EXPECT_EQ(text("GUEST_PANICKED", {{"action", "pause"}}), "GUEST_PANICKED: action pause");
  EXPECT_EQ(text("WATCHDOG", {{"action", "reset"}}), "WATCHDOG: action reset");
  EXPECT_EQ(text("BLOCK_IO_ERROR", {{"device", "vd0"},
                                    {"operation", "write"},
                                    {"action", "stop"},
                                    {"nospace", true},
                                    {"reason", "No space left on device"}}),
            "BLOCK_IO_ERROR: write on vd0, action stop: No space left on device");
  EXPECT_EQ(text("RTC_CHANGE", {{"offset", 1}}), "");
  EXPECT_EQ(text("STOP", json::object()), "");
}

TEST_F(QmpEvents, AreToldWhenTheyHappened) {
  const auto annotation = annotate("RESET", {{"guest", true}, {"reason", "guest-reset"}});

  ASSERT_TRUE(annotation);
  EXPECT_EQ(annotation->begin, time_);
  EXPECT_EQ(annotation->kind, "qmp");
  EXPECT_THAT(annotation->tags, ElementsAre("RESET"));
}

TEST_F(QmpEvents, AreToldOnceInAWhileWhenTheyFlood) {
  const json error{{"device", "vd0"}, {"operation", "read"}, {"action", "report"}};
  ASSERT_TRUE(annotate("BLOCK_IO_ERROR", error));
  for (int i = 0; i < 9'999; ++i) EXPECT_FALSE(annotate("BLOCK_IO_ERROR", error, 1ms));
  // Another one is not kept back by them.
  EXPECT_TRUE(annotate("WATCHDOG", {{"action", "reset"}}));

  const auto again = annotate("BLOCK_IO_ERROR", error, 1ms);

  ASSERT_TRUE(again);
  EXPECT_EQ(again->text,
            "BLOCK_IO_ERROR: read on vd0, action report (and 9,999 more since the last one)");
}

TEST_F(QmpEvents, OfEveryKindDoNotGrowTheMemory) {
  for (int i = 0; i < 10'000; ++i)
    EXPECT_TRUE(annotate("WATCHDOG", {{"action", std::to_string(i)}}));
  EXPECT_THAT(text("WATCHDOG", {{"action", std::string(10'000, 'x')}}).size(), testing::Lt(300U));
}

TEST(MarkText, IsOneLineOfUtf8) {
  EXPECT_TRUE(check_mark_text("cache dropped: caf\u00e9 \u2192 42 %"));
  EXPECT_TRUE(check_mark_text(std::string(500, 'x')));
  EXPECT_EQ(check_mark_text("").error().detail, "the text is empty");
  EXPECT_EQ(check_mark_text(std::string(501, 'x')).error().detail,
            "the text has 501 bytes, more than 500: write a shorter one");
  for (const std::string text :
       {"two\nlines", "tab\t", "\x1b[31m", "\x7f", "\xff", "\xc2\x85", "\u2028", "\u202e"}) {
    const auto checked = check_mark_text(text);
    ASSERT_FALSE(checked) << text;
    EXPECT_THAT(checked.error().detail, HasSubstr("UTF-8 on one line"));
  }
}

TEST(Marks, AreTheLastThousand) {
  Marks marks;
  for (int i = 0; i < 1'500; ++i) {
    Mark mark;
    if (i % 3 == 0) mark.vm = "web1";
    EXPECT_EQ(marks.add(std::move(mark)).id, static_cast<std::uint64_t>(i) + 1);
  }

  EXPECT_EQ(marks.all().size(), 1'000U);
  EXPECT_EQ(marks.all().front().id, 501U);
  EXPECT_EQ(marks.all().back().id, 1'500U);
  EXPECT_EQ(marks.count_without_vm(), 1'000U);
}

}  // namespace
}  // namespace qemon::daemon
