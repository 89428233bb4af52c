// The program in the kernel, at probes of the test itself.
#include "usdt/probe_tracer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <span>
#include <thread>
#include <vector>

#include "tests/support/sanitized.hpp"
#include "tests/usdt/test_probes.hpp"
#include "usdt/probe_rights.hpp"

namespace qemon::usdt {
namespace {

using testing::ElementsAre;

const std::string own_program = "/proc/self/exe";
constexpr std::size_t slots = 8;

probe_event wanted(int mode, std::uint8_t arguments, std::uint32_t strings = 0) {
  probe_event event{};
  event.mode = static_cast<std::uint8_t>(mode);
  event.described = 1;
  event.argument_count = arguments;
  event.strings = strings;
  return event;
}

class ProbeTracerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = missing_rights(); !missing.empty())
      GTEST_SKIP() << "without " << missing << " no probe can be attached to";
    if (!std::filesystem::exists("/sys/bus/event_source/devices/uprobe"))
      GTEST_SKIP() << "this kernel has no uprobes";
    // A user namespace shows capabilities that the kernel does not take for ours.
    const auto tried = load_probe_tracer({::getpid(), slots, 16, 1 << 16});
    if (!tried && tried.error().detail.find("not permitted") != std::string::npos)
      GTEST_SKIP() << tried.error().detail;
    load(1 << 16);
  }
  void load(std::size_t ring_bytes) {
    auto loaded = load_probe_tracer({::getpid(), slots, 16, ring_bytes});
    ASSERT_TRUE(loaded) << loaded.error().detail;
    tracer = std::move(*loaded);
  }
  void attach(std::uint32_t slot, const std::string& name) {
    const auto attached = tracer->attach(slot, own_program, name);
    ASSERT_TRUE(attached) << attached.error().detail;
  }
  std::vector<probe_record> read() {
    std::vector<probe_record> records;
    tracer->read(1 << 30, [&](std::string_view bytes) {
      ASSERT_LE(bytes.size(), sizeof(probe_record));
      std::memcpy(&records.emplace_back(), bytes.data(), bytes.size());
    });
    return records;
  }
  /// Calls `probe` so often on each of four threads.
  static void hammer(std::size_t times, void (*probe)()) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([=] {
        for (std::size_t n = 0; n < times; ++n) probe();
      });
    }
    for (auto& thread : threads) thread.join();
  }

  std::unique_ptr<ProbeTracer> tracer;
};

constexpr std::size_t many = test::sanitized ? 2'000 : 20'000;

TEST_F(ProbeTracerTest, CountsInTheKernelOnAllThreadsAndAtAllPlaces) {
  tracer->set(3, wanted(probe_counted, 4));
  attach(3, "test_numbers");

  hammer(many, [] { test::numbers_probe(1, 2, true, 3); });
  test::numbers_probe_elsewhere(1);

  EXPECT_EQ(tracer->count(3), 4 * many + 1);
  EXPECT_EQ(tracer->count(4), 0U);
  EXPECT_EQ(tracer->waiting_bytes(), 0U);
}

TEST_F(ProbeTracerTest, AddsArgumentsUpInTheKernel) {
  // int a and uint64_t b.
  tracer->set_adder(200, {2, {{0, 32, 1}, {1, 0, 0}}, {}});
  auto event = wanted(probe_summed, 4);
  event.adder = 200;
  tracer->set(3, event);
  attach(3, "test_numbers");

  hammer(many, [] { test::numbers_probe(7, 100, true, 3); });
  test::numbers_probe_elsewhere(1);

  const auto totals = tracer->totals(200);
  EXPECT_EQ(totals.records, 4 * many + 1);
  EXPECT_EQ(totals.sums[0], 28 * many + 1);
  EXPECT_EQ(totals.sums[1], 400 * many);
  EXPECT_EQ(totals.sums[2], 0U);
  EXPECT_EQ(tracer->totals(199).records, 0U);
  EXPECT_EQ(tracer->count(3), 0U);
  EXPECT_EQ(tracer->waiting_bytes(), 0U);
}

TEST_F(ProbeTracerTest, RecordsWholeWhatCannotBeAddedUp) {
  tracer->set_adder(0, {2, {{0, 32, 1}, {1, 0, 0}}, {}});
  tracer->set_adder(1, {1, {{9, 0, 0}}, {}});
  auto event = wanted(probe_summed, 4);
  tracer->set(3, event);
  attach(3, "test_numbers");

  test::numbers_probe(-5, 1, true, 0);
  test::numbers_probe(5, probe_addend_max + 1, true, 0);
  test::numbers_probe(5, probe_addend_max, true, 0);
  // The probe does not have that one.
  event.adder = 1;
  tracer->set(3, event);
  test::numbers_probe(6, 1, true, 0);

  event.adder = probe_adders_max;
  tracer->set(3, event);
  test::numbers_probe(8, 1, true, 0);

  const auto records = read();
  ASSERT_EQ(records.size(), 4U);
  EXPECT_EQ(static_cast<std::int64_t>(records[0].values[0]), -5);
  EXPECT_EQ(records[1].values[1], probe_addend_max + 1);
  EXPECT_EQ(records[2].values[0], 6U);
  EXPECT_EQ(records[3].values[0], 8U);
  EXPECT_EQ(tracer->totals(0).records, 1U);
  EXPECT_EQ(tracer->totals(0).sums[1], probe_addend_max);
  EXPECT_EQ(tracer->totals(1).records, 0U);
}

TEST_F(ProbeTracerTest, RecordsNumbersAsTheirTypesSay) {
  tracer->set(3, wanted(probe_recorded, 4));
  attach(3, "test_numbers");

  test::numbers_probe(-5, ~std::uint64_t{0} - 1, true, -128);
  test::numbers_probe_elsewhere(7);

  EXPECT_GT(tracer->waiting_bytes(), 0U);
  const auto records = read();
  ASSERT_EQ(records.size(), 2U);
  const auto& first = records[0];
  EXPECT_EQ(first.slot, 3U);
  EXPECT_EQ(first.thread, static_cast<std::uint32_t>(::gettid()));
  EXPECT_EQ(first.argument_count, 4);
  EXPECT_EQ(first.unreadable, 0);
  EXPECT_EQ(static_cast<std::int64_t>(first.values[0]), -5);
  EXPECT_EQ(first.values[1], ~std::uint64_t{0} - 1);
  EXPECT_EQ(first.values[2], 1U);
  EXPECT_EQ(static_cast<std::int64_t>(first.values[3]), -128);
  EXPECT_EQ(records[1].values[0], 7U);
  EXPECT_GE(records[1].time_ns, first.time_ns);
  EXPECT_EQ(tracer->waiting_bytes(), 0U);
}

TEST_F(ProbeTracerTest, RecordsStringsAsTheBackendSimpleDoes) {
  tracer->set(1, wanted(probe_recorded, 3, 0b101));
  attach(1, "test_text");

  const std::string overlong(600, 'x');
  test::text_probe("abc", 7, "de");
  test::text_probe(nullptr, 8, "");
  test::text_probe(overlong.c_str(), 9, "end");
  test::text_probe(reinterpret_cast<const char*>(1), 10, "end");

  const auto records = read();
  ASSERT_EQ(records.size(), 4U);
  EXPECT_THAT(std::span(records[0].values, 3), ElementsAre(3U, 7U, 2U));
  EXPECT_EQ(std::string_view(records[0].text, records[0].text_bytes), "abcde");
  EXPECT_THAT(std::span(records[1].values, 3), ElementsAre(0U, 8U, 0U));
  EXPECT_THAT(std::span(records[2].values, 3), ElementsAre(512U, 9U, 3U));
  EXPECT_EQ(std::string_view(records[2].text, records[2].text_bytes),
            overlong.substr(0, 512) + "end");
  EXPECT_EQ(records[2].unreadable, 0);
  EXPECT_EQ(records[3].unreadable, 1) << "an address that is none";
}

TEST_F(ProbeTracerTest, RecordsNothingOfAnArgumentThatTheProbeDoesNotHave) {
  tracer->set(1, wanted(probe_recorded, 4));
  attach(1, "test_text");

  test::text_probe("abc", 7, "de");

  const auto records = read();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].unreadable, 1);
}

#if defined(__x86_64__)
TEST_F(ProbeTracerTest, SeesAProbeWhoseArgumentsAreWhereLibbpfCannotFindThem) {
  const std::uint64_t array[] = {5, 6, 7};
  tracer->set(1, wanted(probe_recorded, 1));
  const auto attached = tracer->attach(1, own_program, "test_indexed");
  ASSERT_TRUE(attached) << attached.error().detail;

  test::indexed_probe(array, 2);

  const auto records = read();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].slot, 1U);
  EXPECT_EQ(records[0].unreadable, *attached ? 0 : 1);
  EXPECT_TRUE(!*attached || records[0].values[0] == 7);
  tracer->set(1, wanted(probe_counted, 1));
  test::indexed_probe(array, 1);
  EXPECT_EQ(tracer->count(1), 1U);
}
#endif

TEST_F(ProbeTracerTest, CountsWhatTheRingHasNoRoomFor) {
  load(4096);
  tracer->set(3, wanted(probe_recorded, 4));
  attach(3, "test_numbers");

  for (int i = 0; i < 1000; ++i) test::numbers_probe(i, 0, false, 0);
  auto records = read();
  const auto kept = records.size();
  test::numbers_probe(1, 0, false, 0);

  EXPECT_GT(kept, 10U);
  EXPECT_EQ(kept + tracer->lost(), 1000U);
  records = read();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].lost, tracer->lost()) << "it says how many were lost before it";
}

TEST_F(ProbeTracerTest, LosesAndMixesNothingWhenThreadsPreemptEachOther) {
  load(1 << 24);
  tracer->set(3, wanted(probe_recorded, 4));
  attach(3, "test_numbers");

  hammer(many, [] {
    const auto self = static_cast<std::uint64_t>(::gettid());
    test::numbers_probe(1, self, false, 0);
  });

  const auto records = read();
  EXPECT_EQ(records.size() + tracer->lost(), 4 * many);
  for (const auto& record : records) ASSERT_EQ(record.values[1], record.thread);
}

TEST_F(ProbeTracerTest, ReadsNoMoreThanItIsToldTo) {
  tracer->set(3, wanted(probe_recorded, 4));
  attach(3, "test_numbers");
  for (int i = 0; i < 100; ++i) test::numbers_probe(i, 0, false, 0);

  std::size_t records = 0;
  const auto bytes = tracer->read(500, [&](std::string_view) { ++records; });

  EXPECT_GE(bytes, 500U);
  EXPECT_LT(records, 20U);
  EXPECT_EQ(read().size(), 100 - records);
}

TEST_F(ProbeTracerTest, LeavesTheSemaphoreAsItWas) {
  tracer->set(3, wanted(probe_counted, 4));
  EXPECT_EQ(test::numbers_semaphore(), 0);
  attach(3, "test_numbers");
  EXPECT_EQ(test::numbers_semaphore(), 2) << "once for each place";

  tracer->detach(3);

  EXPECT_EQ(test::numbers_semaphore(), 0);
  test::numbers_probe(1, 2, true, 3);
  EXPECT_EQ(tracer->count(3), 0U);
  attach(3, "test_numbers");
  tracer.reset();
  EXPECT_EQ(test::numbers_semaphore(), 0);
}

TEST_F(ProbeTracerTest, IsSilentAboutAnEventThatIsOff) {
  tracer->set(3, wanted(probe_off, 4));
  attach(3, "test_numbers");

  test::numbers_probe(1, 2, true, 3);

  EXPECT_EQ(tracer->count(3), 0U);
  EXPECT_EQ(read().size(), 0U);
}

TEST_F(ProbeTracerTest, NamesTheProbeThatIsNotThere) {
  const auto attached = tracer->attach(3, own_program, "test_absent");

  ASSERT_FALSE(attached);
  EXPECT_THAT(
      attached.error().detail,
      testing::StartsWith("probe test_absent of /proc/self/exe: No such file or directory"));
}

}  // namespace
}  // namespace qemon::usdt
