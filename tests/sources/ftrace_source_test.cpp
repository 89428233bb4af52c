#include "daemon/ftrace_source.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "tests/sources/source_fixture.hpp"

namespace qemon::daemon {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string marker_line(pid_t thread, const std::string& text) {
  const auto id = std::to_string(thread);
  return "           <...>-" + id + std::string(8 - id.size(), ' ') +
         "[001] ...1. 56477.171424: tracing_mark_write: " + text + "\n";
}

/// A tracefs as kernels without copies of markers have it, with a FIFO for the system's trace_pipe.
class OldTracefs : public test::SourceTest {
 protected:
  OldTracefs() {
    std::filesystem::create_directory(folder / "instances");
    test::write_file(folder / "current_tracer", "nop\n");
    test::write_file(folder / "set_event", "");
    test::write_file(folder / "trace_clock", "[local] global counter mono\n");
    test::write_file(folder / "tracing_on", "1\n");
    EXPECT_EQ(::mkfifo((folder / "trace_pipe").c_str(), 0600), 0);
    pipe = UniqueFd(::open((folder / "trace_pipe").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  }
  void mark(pid_t thread, const std::string& text) const { put(marker_line(thread, text)); }
  void put(const std::string& text) const {
    EXPECT_EQ(::write(pipe.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void replace(const std::string& name, const std::string& text) {
    std::filesystem::remove(folder / name);
    test::write_file(folder / name, text);
  }

  UniqueFd pipe;
};

TEST_F(OldTracefs, OurMarkersInTheSystemsBufferAreRead) {
  FtraceSource source(options(), folder.path());
  ASSERT_TRUE(test::run(context, source.start()));

  mark(::getpid(), "one a 5");
  mark(::getppid(), "one a 6");
  put("CPU:1 [LOST 7 EVENTS]\n");
  mark(::getpid(), "two ");
  put(marker_line(::getpid(), "one a 8").substr(0, 30));
  ASSERT_TRUE(sees(source, 3));

  EXPECT_THAT(seen, ElementsAre("one [a 5]", "lost 7", "two []"));
  EXPECT_EQ(source.totals().decoder.dropped_events, 7u);
  EXPECT_GT(source.lag_bytes(), 0u);
  EXPECT_FALSE(source.clock());
  EXPECT_THAT(all(source.problems()), HasSubstr("one trace buffer for everybody"));
  EXPECT_THAT(all(source.problems()), HasSubstr("echo mono >" + folder.path().string()));
  test::run(context, source.stop());
  EXPECT_TRUE(std::filesystem::is_empty(folder / "instances"));
}

TEST_F(OldTracefs, WhatWasThereBeforeIsDropped) {
  mark(::getpid(), "one a 5");
  FtraceSource source(options(), folder.path());
  ASSERT_TRUE(test::run(context, source.start()));

  mark(::getpid(), "two ");
  ASSERT_TRUE(sees(source, 1));

  EXPECT_THAT(seen, ElementsAre("two []"));
}

TEST_F(OldTracefs, AClockOfTheKernelsIsKnown) {
  replace("trace_clock", "local global [mono]\n");
  FtraceSource source(options(), folder.path());
  ASSERT_TRUE(test::run(context, source.start()));

  EXPECT_EQ(source.clock(), CLOCK_MONOTONIC);
}

TEST_F(OldTracefs, IsLeftToWhoeverTracesWithIt) {
  for (const auto& [file, text] : {std::pair("current_tracer", "function\n"),
                                   std::pair("set_event", "sched:sched_switch\n")}) {
    replace(file, text);
    mark(::getpid(), "one a 5");
    FtraceSource source(options(), folder.path());

    const auto started = test::run(context, source.start());

    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().detail, HasSubstr("somebody traces with it"));
    EXPECT_THAT(started.error().detail, HasSubstr(folder / file));
    char byte = 0;
    EXPECT_EQ(::read(pipe.get(), &byte, 1), 1) << "what is in the buffer was read";
    replace(file, file == std::string("set_event") ? "" : "nop\n");
  }
}

TEST_F(OldTracefs, ThatIsSwitchedOffIsSaidToBe) {
  FtraceSource source(options(), folder.path());
  ASSERT_TRUE(test::run(context, source.start()));

  replace("tracing_on", "0\n");

  EXPECT_THAT(all(source.problems()), HasSubstr("echo 1 >" + folder / "tracing_on"));
}

TEST(FtraceSource, SaysHowToMountATracefs) {
  if (std::filesystem::exists("/sys/kernel/tracing/instances") ||
      std::filesystem::exists("/sys/kernel/debug/tracing/instances"))
    GTEST_SKIP() << "tracefs is mounted here";

  const auto found = find_tracefs("/nowhere/trace_marker");

  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().detail, HasSubstr("mount -t tracefs"));
}

/// The kernel's own.
class KernelTrace : public test::SourceTest {
 protected:
  void SetUp() override {
    if (::access("/sys/kernel/tracing/instances", W_OK) != 0)
      GTEST_SKIP() << "tracefs may not be written to";
    if (::access("/sys/kernel/tracing/options/copy_trace_marker", F_OK) != 0)
      GTEST_SKIP() << "this kernel copies no markers into instances";
    marker = UniqueFd(::open("/sys/kernel/tracing/trace_marker", O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(marker);
  }
  void mark(const std::string& text) const {
    EXPECT_EQ(::write(marker.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  static std::string instance() {
    return "/sys/kernel/tracing/instances/" +
           trace_instance_name("unit-test", static_cast<std::uint64_t>(::getpid()));
  }

  UniqueFd marker;
};

TEST_F(KernelTrace, MarkersOfAllThreadsAreReadInTheOrderOfTheirTimes) {
  FtraceSource source(options());
  ASSERT_TRUE(test::run(context, source.start()));

  constexpr int threads = 4, markers = 500;
  std::vector<std::thread> writers;
  std::atomic<int> running = threads;
  std::atomic<bool> over = false;
  for (int i = 0; i < threads; ++i) {
    writers.emplace_back([&] {
      for (int n = 0; n < markers; ++n) mark("one a 5\n");
      --running;
      // One that ended before it is seen cannot be told from others.
      while (!over) std::this_thread::yield();
    });
  }
  EXPECT_TRUE(test::wait_until([&] { return running == 0; }));
  EXPECT_TRUE(sees(source, std::size_t{threads * markers}));
  over = true;
  for (auto& writer : writers) writer.join();

  EXPECT_EQ(seen.size(), std::size_t{threads * markers});
  EXPECT_EQ(source.totals().decoder.dropped_events, 0u);
  EXPECT_EQ(source.clock(), CLOCK_MONOTONIC);
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  EXPECT_NEAR(static_cast<double>(last_ns) * 1e-9, static_cast<double>(now.tv_sec), 60);
  EXPECT_THAT(source.problems(), IsEmpty());
  EXPECT_EQ(source.place(), instance() + "/trace_pipe");
  test::run(context, source.stop());
  EXPECT_FALSE(std::filesystem::exists(instance()));
}

TEST_F(KernelTrace, WhatDidNotFitIsCountedAsLost) {
  FtraceSource source(options());
  ASSERT_TRUE(test::run(context, source.start()));
  test::write_file(instance() + "/buffer_size_kb", "4");

  constexpr std::uint64_t markers = 5000;
  for (std::uint64_t n = 0; n < markers; ++n) mark("one a 5\n");
  EXPECT_FALSE(test::run(context, source.flush()).has_error());
  EXPECT_GT(source.lag_bytes(), 0u);
  ASSERT_TRUE(test::wait_until([&] {
    source.pump(buffer, *this);
    const auto stats = source.totals().decoder;
    return stats.records + stats.dropped_events >= markers;
  }));

  EXPECT_GT(source.totals().decoder.dropped_events, 0u);
  EXPECT_THAT(seen, testing::Contains(testing::StartsWith("lost ")));
}

TEST_F(KernelTrace, AnInstanceThatIsReadIsLeftToItsReader) {
  FtraceSource first(options());
  ASSERT_TRUE(test::run(context, first.start()));
  FtraceSource second(options());

  const auto started = test::run(context, second.start());
  remove_left_trace_instances("unit-test");

  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().detail, HasSubstr("another qemond follows this QEMU"));
  EXPECT_TRUE(std::filesystem::exists(instance()));
}

TEST_F(KernelTrace, WhatAKilledQemondLeftIsRemoved) {
  const std::string folder_of_all = "/sys/kernel/tracing/instances/";
  // No process has so high an id.
  const auto gone = folder_of_all + "qemon-web2-4194305";
  const auto foreign = folder_of_all + "qemon-unit-test";
  const auto of_other_vm = folder_of_all + "qemon-unit-test-1-" + std::to_string(::getpid());
  for (const auto& path : {gone, foreign, of_other_vm, instance()})
    std::filesystem::create_directory(path);

  remove_left_trace_instances("unit-test");

  EXPECT_FALSE(std::filesystem::exists(gone));
  EXPECT_FALSE(std::filesystem::exists(instance()));
  EXPECT_TRUE(std::filesystem::exists(foreign));
  EXPECT_TRUE(std::filesystem::exists(of_other_vm));
  for (const auto& path : {foreign, of_other_vm}) ::rmdir(path.c_str());
}

TEST(ProcessThreads, KnowsOursAndThoseOfOthers) {
  ProcessThreads threads(::getpid());
  // No thread has so high an id.
  constexpr std::uint32_t gone = 4194305;

  EXPECT_EQ(threads.owner_of(static_cast<std::uint32_t>(::gettid())), trace::LineOwner::us);
  EXPECT_EQ(threads.owner_of(static_cast<std::uint32_t>(::getppid())), trace::LineOwner::others);
  EXPECT_EQ(threads.owner_of(gone), trace::LineOwner::unknown);
}

TEST(ProcessThreads, RemembersAThreadThatEnded) {
  ProcessThreads threads(::getpid());
  std::atomic<std::uint32_t> id = 0;
  std::thread thread([&] {
    id = static_cast<std::uint32_t>(::gettid());
    threads.refresh();
  });
  thread.join();

  EXPECT_EQ(threads.owner_of(id), trace::LineOwner::us);
}

}  // namespace
}  // namespace qemon::daemon
