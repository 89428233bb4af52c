#include "daemon/qmp_event_counters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using test::expect_sound;
using test::samples_of;
using testing::HasSubstr;

void count(QmpEventCounters& counters, std::string_view name, const json& data) {
  counters.count(qmp::Event{name, data, {}});
}

TEST(QmpEventCounters, CountsByNameAndByWhatTheEventSays) {
  QmpEventCounters counters;
  count(counters, "STOP", json::object());
  count(counters, "RESET", json{{"guest", true}, {"reason", "guest-reset"}});
  count(counters, "RESET", json{{"guest", true}, {"reason", "guest-reset"}});
  count(counters, "SHUTDOWN", json{{"guest", false}, {"reason", "host-signal"}});
  count(counters, "BLOCK_IO_ERROR",
        json{{"device", "disk0"}, {"operation", "write"}, {"action", "stop"}, {"nospace", true}});
  count(counters, "BLOCK_IO_ERROR",
        json{{"device", ""},
             {"qom-path", "/machine/peripheral/vd1/virtio-backend"},
             {"node-name", "n"},
             {"operation", "read"},
             {"action", "report"}});

  const Figures figures = counters.figures();

  expect_sound(figures);
  EXPECT_EQ(samples_of(figures),
            "qemu_block_io_errors_total{device=\"disk0\",operation=\"write\",action=\"stop\"} 1\n"
            "qemu_block_io_errors_total{device=\"vd1\",operation=\"read\",action=\"report\"} 1\n"
            "qemu_qmp_events_total{event=\"BLOCK_IO_ERROR\"} 2\n"
            "qemu_qmp_events_total{event=\"RESET\"} 2\n"
            "qemu_qmp_events_total{event=\"SHUTDOWN\"} 1\n"
            "qemu_qmp_events_total{event=\"STOP\"} 1\n"
            "qemu_resets_total{reason=\"guest-reset\",guest=\"true\"} 2\n"
            "qemu_shutdowns_total{reason=\"host-signal\",guest=\"false\"} 1\n");
}

TEST(QmpEventCounters, WhatAnEventDoesNotSayIsUnknown) {
  QmpEventCounters counters;
  count(counters, "RESET", json::object());
  count(counters, "SHUTDOWN", json(5));
  count(counters, "BLOCK_IO_ERROR", json{{"device", json::array()}, {"operation", nullptr}});

  const std::string samples = samples_of(counters.figures());

  EXPECT_THAT(samples, HasSubstr("qemu_resets_total{reason=\"unknown\",guest=\"unknown\"} 1\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_shutdowns_total{reason=\"unknown\",guest=\"unknown\"} 1\n"));
  EXPECT_THAT(samples, HasSubstr("device=\"unknown\",operation=\"unknown\",action=\"unknown\"} 1"));
}

TEST(QmpEventCounters, NothingHappenedIsNothingShown) {
  EXPECT_TRUE(QmpEventCounters().figures().empty());
}

TEST(QmpEventCounters, EachFamilyStaysWithinTwoHundredSeries) {
  QmpEventCounters counters;
  const json nothing = json::object();
  for (int i = 0; i < 1000; ++i) {
    count(counters, "EVENT_" + std::to_string(i), nothing);
    count(counters, "BLOCK_IO_ERROR", json{{"device", std::to_string(i)}});
  }
  count(counters, "EVENT_3", nothing);

  const Figures figures = counters.figures();

  expect_sound(figures);
  for (const auto& family : figures) EXPECT_EQ(family.metric.size(), 200U) << family.name;
  const std::string samples = samples_of(figures);
  EXPECT_THAT(samples, HasSubstr("qemu_qmp_events_total{event=\"EVENT_3\"} 2\n"));
  EXPECT_THAT(samples, HasSubstr("qemu_qmp_events_total{event=\"__other__\"} 802\n"));
  EXPECT_THAT(samples, HasSubstr("device=\"__other__\",operation=\"__other__\""));
}

}  // namespace
}  // namespace qemon::daemon
