#include "daemon/collect_jit.hpp"

#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using test::expect_sound;
using test::samples_of;

TEST(CollectJit, ReadsTheTextOf72) {
  const Figures figures = jit_figures(
      "Translation buffer state:\r\ngen code size       1328019/1073736704\r\n"
      "TB count            2441\r\nTB avg target size  13 max=299 bytes\r\n"
      "TB avg host size    303 bytes (expansion ratio: 22.6)\r\ncross page TB count 6 (0%)\r\n"
      "direct jump count   1435 (58%) (2 jumps=1025 41%)\r\n"
      "TB hash buckets     2004/8192 (24.46% head buckets used)\r\n"
      "TB hash occupancy   6.99% avg chain occ. Histogram: [0,10)%|█ ▂  ▁▁▁ ▁|[90,100]%\r\n"
      "TB hash avg chain   1.000 buckets. Histogram: 1|█▁|2\r\n\r\nStatistics:\r\n"
      "TB flush count      1\r\nTB invalidate count 147\r\nTLB full flushes    2\r\n"
      "TLB partial flushes 3540\r\nTLB elided flushes  26540\r\n[TCG profiler not compiled]\r\n");

  expect_sound(figures);
  EXPECT_EQ(samples_of(figures),
            "qemu_jit_block_guest_bytes_average 13\n"
            "qemu_jit_block_host_bytes_average 303\n"
            "qemu_jit_blocks 2441\n"
            "qemu_jit_code_bytes 1328019\n"
            "qemu_jit_code_bytes_max 1073736704\n"
            "qemu_jit_cross_page_blocks 6\n"
            "qemu_jit_direct_jump_blocks 1435\n"
            "qemu_jit_flushes_total 1\n"
            "qemu_jit_invalidations_total 147\n"
            "qemu_jit_tlb_flushes_total{kind=\"elided\"} 26540\n"
            "qemu_jit_tlb_flushes_total{kind=\"full\"} 2\n"
            "qemu_jit_tlb_flushes_total{kind=\"partial\"} 3540\n");
}

TEST(CollectJit, ReadsTheTextOf100) {
  const std::string samples = samples_of(jit_figures(
      "Accelerator settings:\none-insn-per-tb: off\n\nTranslation buffer state:\n"
      "gen code size       1463011/1073736704\nTB count            2619\n"
      "TB avg target size  12 max=299 bytes\n"
      "TB avg host size    319 bytes (expansion ratio: 25.0)\ncross page TB count 2 (0%)\n"
      "direct jump count   1594 (60%) (2 jumps=1025 39%)\n"
      "TB hash buckets     2091/8192 (25.52% head buckets used)\n\nStatistics:\n"
      "TB flush count      0\nTB invalidate count 177\nTLB full flushes    0\n"
      "TLB partial flushes 5180\nTLB elided flushes  81220\n[TCG profiler not compiled]\n"));

  EXPECT_NE(samples.find("qemu_jit_blocks 2619\n"), samples.npos);
  EXPECT_NE(samples.find("qemu_jit_flushes_total 0\n"), samples.npos);
  EXPECT_NE(samples.find("qemu_jit_tlb_flushes_total{kind=\"elided\"} 81220\n"), samples.npos);
}

TEST(CollectJit, SaysNothingWithoutTcg) {
  EXPECT_TRUE(jit_figures("JIT information is only available with accel=tcg\r\n").empty());
  EXPECT_TRUE(jit_figures("unknown command: 'info jit'\r\n").empty());
}

TEST(CollectJit, SurvivesWhateverTextComes) {
  EXPECT_TRUE(jit_figures("").empty());
  EXPECT_TRUE(jit_figures("TB count -5\nTB count\nTB counted 7\n\xff").empty());
  EXPECT_TRUE(jit_figures("TB count 99999999999999999999999\n").empty());
  EXPECT_EQ(samples_of(jit_figures("gen code size 5\n")), "qemu_jit_code_bytes 5\n");
  EXPECT_EQ(samples_of(jit_figures("gen code size x/7\n")), "qemu_jit_code_bytes_max 7\n");
}

}  // namespace
}  // namespace qemon::daemon
