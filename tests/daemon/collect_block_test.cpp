#include "daemon/collect_block.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/collect_support.hpp"
#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using test::expect_sound;
using test::samples_of;
using test::text_of;
using testing::HasSubstr;
using testing::Not;

// Of QEMU 7.2.22 after the boot sector was read, then ten times one sector and three times eight,
// and one sector was written seven times.
const char* const recorded = R"([{"device": "disk0", "parent": {"stats": {
    "wr_highest_offset": 1049088, "wr_bytes": 0, "rd_operations": 0, "rd_bytes": 0},
    "node-name": "#block093", "driver-specific": {"driver": "file"}},
  "stats": {"unmap_operations": 0, "unmap_merged": 0, "flush_total_time_ns": 0,
    "wr_highest_offset": 1049088, "wr_total_time_ns": 135008893, "failed_wr_operations": 0,
    "failed_rd_operations": 0, "wr_merged": 0, "wr_bytes": 3584, "timed_stats": [],
    "failed_unmap_operations": 0, "failed_flush_operations": 0, "account_invalid": true,
    "rd_total_time_ns": 18159816, "invalid_unmap_operations": 0, "flush_operations": 0,
    "wr_operations": 7, "unmap_bytes": 0, "rd_merged": 0, "rd_bytes": 17920,
    "unmap_total_time_ns": 0, "invalid_flush_operations": 0, "account_failed": true,
    "idle_time_ns": 503166, "rd_operations": 14, "invalid_wr_operations": 0,
    "invalid_rd_operations": 0},
  "node-name": "#block183", "qdev": "/machine/peripheral-anon/device[0]/virtio-backend"}])";

json backend(std::string device, std::string qdev, std::string node) {
  return json{
      {"device", device}, {"qdev", qdev}, {"node-name", node}, {"stats", {{"rd_operations", 1}}}};
}

TEST(CollectBlock, ShowsWhatQemuCounted) {
  const Figures figures = block_figures(json::parse(recorded));

  expect_sound(figures);
  const std::string text = text_of(figures);
  for (const char* const line : {
           "# TYPE qemu_blockdev_bytes_total counter\n",
           "qemu_blockdev_bytes_total{device=\"disk0\",operation=\"read\"} 17920\n",
           "qemu_blockdev_bytes_total{device=\"disk0\",operation=\"write\"} 3584\n",
           "qemu_blockdev_operations_total{device=\"disk0\",operation=\"read\"} 14\n",
           "qemu_blockdev_operations_total{device=\"disk0\",operation=\"write\"} 7\n",
           "qemu_blockdev_operations_total{device=\"disk0\",operation=\"discard\"} 0\n",
           "qemu_blockdev_failed_total{device=\"disk0\",operation=\"flush\"} 0\n",
           "qemu_blockdev_invalid_total{device=\"disk0\",operation=\"read\"} 0\n",
           "qemu_blockdev_time_seconds_total{device=\"disk0\",operation=\"read\"} 0.018159816\n",
           "qemu_blockdev_time_seconds_total{device=\"disk0\",operation=\"write\"} 0.135008893\n",
           "qemu_blockdev_highest_write_offset_bytes{device=\"disk0\"} 1049088\n",
           "qemu_blockdev_idle_seconds{device=\"disk0\"} 0.000503166\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(CollectBlock, LeavesOutWhatThisQemuDoesNotTell) {
  json answer = json::parse(recorded);
  answer[0]["stats"].erase("idle_time_ns");

  const std::string text = text_of(block_figures(answer));

  EXPECT_THAT(text, Not(HasSubstr("idle_seconds")));
  EXPECT_THAT(text, Not(HasSubstr("zone_append")));
  EXPECT_THAT(text, Not(HasSubstr("bytes_total{device=\"disk0\",operation=\"flush\"")));
}

TEST(CollectBlock, ShowsZoneAppendsOfNewerQemus) {
  json answer = json::parse(recorded);
  answer[0]["stats"]["zone_append_bytes"] = 4096;

  EXPECT_THAT(text_of(block_figures(answer)),
              HasSubstr("bytes_total{device=\"disk0\",operation=\"zone_append\"} 4096\n"));
}

TEST(CollectBlock, NamesADeviceByItsDriveThenTheGuestDeviceThenTheNode) {
  EXPECT_EQ(block_device_name("disk0", "/machine/peripheral/vd0", "node"), "disk0");
  EXPECT_EQ(block_device_name("", "/machine/peripheral/vd0/virtio-backend", "node"), "vd0");
  EXPECT_EQ(block_device_name("", "vd0", "node"), "vd0");
  EXPECT_EQ(block_device_name("", "/machine/peripheral-anon/device[0]/virtio-backend", "node"),
            "peripheral-anon/device[0]");
  EXPECT_EQ(block_device_name("", "/machine/unattached/device[12]", "node"),
            "unattached/device[12]");
  EXPECT_EQ(block_device_name("", "", "#block183"), "#block183");
  EXPECT_EQ(block_device_name("", "/device[0]", ""), "device[0]");
}

TEST(CollectBlock, MakesNamesUnique) {
  const json answer = json::array({backend("", "/a/b/vd0", "n1"), backend("", "/a/c/vd0", "n2"),
                                   backend("", "/a/c/vd0", "n3"), backend("", "/a/c/vd0", "n3"),
                                   backend("", "", "")});

  EXPECT_EQ(samples_of(block_figures(answer)),
            "qemu_blockdev_operations_total{device=\"/a/c/vd0\",operation=\"read\"} 1\n"
            "qemu_blockdev_operations_total{device=\"n3\",operation=\"read\"} 1\n"
            "qemu_blockdev_operations_total{device=\"vd0\",operation=\"read\"} 1\n");
}

TEST(CollectBlock, ShowsAThousandDevicesAtMost) {
  json answer = json::array();
  for (int i = 0; i < 3000; ++i) answer.push_back(backend("d" + std::to_string(i), "", ""));

  const Figures figures = block_figures(answer);

  ASSERT_EQ(figures.size(), 1U);
  EXPECT_EQ(figures[0].metric.size(), 1000U);
}

TEST(CollectBlock, SurvivesWhateverAnswerComes) {
  for (const json& answer : test::spoilt(json::parse(recorded))) {
    expect_sound(block_figures(answer));
  }
}

TEST(CollectBlock, DoesNotTakeANegativeOrBrokenNumberForACount) {
  for (const json& value : {json(-1), json(1.5), json("7"), json(nullptr)}) {
    json answer = json::array({backend("disk0", "", "")});
    answer[0]["stats"]["rd_operations"] = value;

    EXPECT_TRUE(block_figures(answer).empty()) << value;
  }
}

}  // namespace
}  // namespace qemon::daemon
