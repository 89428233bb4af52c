#include "trace/trace_format.hpp"

#include <gtest/gtest.h>

#include <string>

#include "trace/simple_format.hpp"

namespace qemon::trace {
namespace {

constexpr const char* block = "Trace 0: 0x7f33e8000100 [0000000000000000/0000000000401000/0/0] \n";
constexpr const char* record = "1234@1700000000.000001:virtio_blk_req_complete vdev 0x1 req 0x2\n";

TEST(TraceFormat, KnowsASimpleTraceByItsFirstBytes) {
  std::string head(sizeof simple::header_id, '\xff');

  EXPECT_EQ(guess_format(head), TraceFormat::simple);
}

TEST(TraceFormat, TakesWhatIsMostlyOfDashDExecForAnExecLog) {
  EXPECT_EQ(guess_format(std::string(block) + block + "warning: something\n"),
            TraceFormat::exec_log);
}

TEST(TraceFormat, TakesADumpOfRegistersForAnExecLog) {
  EXPECT_EQ(guess_format("RAX=0000000000000000 RBX=0000000000000000\n"
                         "RIP=0000000000401000 RFL=00000202 [-------] CPL=3 II=0 A20=1 SMM=0\n"),
            TraceFormat::exec_log);
}

TEST(TraceFormat, TakesAnyOtherTextForALog) {
  EXPECT_EQ(guess_format(record), TraceFormat::log);
  EXPECT_EQ(guess_format("qemu: warning: no such thing\n"), TraceFormat::log);
  EXPECT_EQ(guess_format(std::string(record) + record + block), TraceFormat::log);
}

TEST(TraceFormat, CannotTellBeforeALineIsWhole) {
  EXPECT_EQ(guess_format(""), std::nullopt);
  EXPECT_EQ(guess_format("Trace 0: 0x7f33e8"), std::nullopt);
  EXPECT_EQ(guess_format(std::string(3, '\xff')), std::nullopt);
}

TEST(TraceFormat, HasTheNamesThatPeopleWrite) {
  for (const auto format : {TraceFormat::simple, TraceFormat::log, TraceFormat::exec_log})
    EXPECT_EQ(trace_format_named(to_string(format)), format);
  EXPECT_EQ(trace_format_named("text"), std::nullopt);
}

}  // namespace
}  // namespace qemon::trace
