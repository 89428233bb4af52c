// Records of series that are known must not allocate: there may be millions of them in a second.
// This file replaces operator new of its whole program by one that counts.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "tests/exporters/pack_run.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define QEMON_COUNTS_ALLOCATIONS 0
#else
#define QEMON_COUNTS_ALLOCATIONS 1
#endif

namespace {

std::size_t allocations = 0;  // The tests of this program have one thread.

}  // namespace

#if QEMON_COUNTS_ALLOCATIONS
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size); memory != nullptr) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

namespace qemon::exporters {
namespace {

/// Gives each record of `lines` to an engine as it is decoded, after one round for warming up, and
/// returns how often that allocated.
std::size_t allocations_of(std::string_view rules, std::string_view lines) {
  test::PackRun run;
  run.use(rules);
  EXPECT_EQ(run.complaints(), "");
  run.feed(lines);
  const auto before = run.engine.counters().records();
  EXPECT_GT(before, 0U);

  const auto at_first = allocations;
  for (int i = 0; i < 50; ++i) run.feed(lines);
  const auto made = allocations - at_first;

  EXPECT_EQ(run.engine.counters().records(), before * 51);
  return made;
}

class Allocation : public testing::Test {
 protected:
  void SetUp() override {
    if (QEMON_COUNTS_ALLOCATIONS == 0) GTEST_SKIP() << "a sanitizer has its own operator new";
  }
};

constexpr std::string_view lines =
    "line irq 1 level 5\nline irq 2 level 50\nline irq 1 level -1\nline nonsense\n"
    "region name 'a name that is longer than short strings are' addr 0x1008 size 4\n"
    "region name 'b' addr 0x5000 size 4\n"
    "9@1.000000:disk_read dev 0x1 sector 0 n 1\n"
    "9@1.000000:disk_read dev 0x1 sector 0 n 1\n"
    "9@1.000000:disk_write dev 0x2 sector 0 n 1\n"
    "9@1.000001:disk_done dev 0x1 status 0\n"
    "9@1.000001:disk_done dev 0x3 status 0\n";

TEST_F(Allocation, IsCounted) {
  const auto before = allocations;

  const auto made = std::make_unique<int>(7);

  EXPECT_EQ(allocations, before + 1);
}

TEST_F(Allocation, IsNotDoneByCounters) {
  EXPECT_EQ(
      allocations_of("  - {counter: a_total, help: A., events: line, add: level * 2, when: irq "
                     "== 1 || irq == 2, labels: {irq: {argument: irq}, how: {argument: level, "
                     "decode: {map: {5: five}}}}}\n"
                     "  - {counter: b_total, help: B., events: [line, region], labels: {e: "
                     "{event: name}}}\n",
                     lines),
      0U);
}

TEST_F(Allocation, IsNotDoneByStrings) {
  EXPECT_EQ(allocations_of("  - {counter: a_total, help: A., events: region, labels: {name: "
                           "{argument: name}}}\n"
                           "  - {counter: b_total, help: B., events: region, labels: {name: "
                           "{argument: name, decode: {map: {b: c}, default: other}}}}\n",
                           lines),
            0U);
}

TEST_F(Allocation, IsNotDoneByStringsBeyondTheLimit) {
  EXPECT_EQ(allocations_of("  - {counter: a_total, help: A., events: region, limit: 1, labels: "
                           "{name: {argument: name}, addr: {argument: addr}}}\n",
                           lines),
            0U);
}

TEST_F(Allocation, IsNotDoneByGaugesAndHistograms) {
  EXPECT_EQ(allocations_of("  - {gauge: a, help: A., events: line, value: level, labels: {irq: "
                           "{argument: irq, decode: hex}}}\n"
                           "  - {histogram: b, help: B., events: line, observe: level, buckets: "
                           "{exp2: {from: 1, to: 65536}}, labels: {irq: {argument: irq, decode: "
                           "size}}}\n",
                           lines),
            0U);
}

TEST_F(Allocation, IsNotDoneByLatencies) {
  EXPECT_EQ(
      allocations_of("  - {latency: a_seconds, help: A., begin: [disk_read, disk_write], end: "
                     "disk_done, key: dev, labels: {n: {argument: n}, s: {argument: status, "
                     "from: end}}}\n",
                     lines),
      0U);
}

TEST_F(Allocation, IsNotDoneByHeatMapsAndTopValues) {
  EXPECT_EQ(allocations_of("  - {heatmap: a_total, help: A., events: region, address: addr}\n"
                           "  - {topk: b, help: B., events: region, value: addr, top: 1, capacity: "
                           "1}\n",
                           lines),
            0U);
}

}  // namespace
}  // namespace qemon::exporters
