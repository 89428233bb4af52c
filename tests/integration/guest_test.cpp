// The premise of all other tests here: the guest does exactly what it is told, and QEMU alone says
// so.
#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"
#include "tests/support/trace_witness.hpp"

namespace qemon::test {
namespace {

class KnownWork : public OnQemu {};
ON_EACH_QEMU(KnownWork);

TEST_P(KnownWork, IsWhatQemuTraces) {
  const std::string log = directory / "log";
  QemuOptions options;
  options.arguments = {"-D", log};
  Qemu vm(GetParam(), directory / "vm", options);
  if (!vm.has_log_backend()) GTEST_SKIP() << "this QEMU has no log backend";
  vm.monitor().set_event("virtio_blk_*", true);
  vm.monitor().set_event("blk_co_p*", true);

  vm.guest().read(17);
  vm.guest().read_eight_sectors(6);
  vm.guest().write(9);
  vm.guest().read(0);
  vm.guest().start_reading();
  vm.guest().stop();
  const double looped = count_log_lines(read_file(log), "virtio_blk_handle_read") - 17 - 6;
  vm.guest().read(1);

  const std::string text = read_file(log);
  EXPECT_EQ(count_log_lines(text, "virtio_blk_handle_read"), 24 + looped);
  EXPECT_EQ(count_log_lines(text, "virtio_blk_handle_write"), 9);
  EXPECT_EQ(count_log_lines(text, "virtio_blk_req_complete"), 33 + looped);
  EXPECT_EQ(count_log_lines(text, "virtio_blk_rw_complete"), 33 + looped);
  EXPECT_EQ(count_log_lines(text, "blk_co_preadv"), 24 + looped);
  EXPECT_EQ(count_log_lines(text, "blk_co_pwritev"), 9);
}

TEST_P(KnownWork, IsWhatASimpleTraceHolds) {
  const std::string trace = directory / "trace";
  QemuOptions options;
  options.arguments = {"-trace", "file=" + trace};
  Qemu vm(GetParam(), directory / "vm", options);
  if (!vm.has_simple_backend()) GTEST_SKIP() << "this QEMU has no simple backend";
  vm.monitor().set_event("virtio_blk_*", true);

  vm.guest().read(1200);
  vm.guest().write(3);
  vm.monitor().human("trace-file flush");

  auto counts = count_simple_records(trace);
  EXPECT_EQ(counts["virtio_blk_handle_read"], 1200U);
  EXPECT_EQ(counts["virtio_blk_handle_write"], 3U);
  EXPECT_EQ(counts["virtio_blk_req_complete"], 1203U);
  EXPECT_EQ(counts["dropped"], 0U);
}

}  // namespace
}  // namespace qemon::test
