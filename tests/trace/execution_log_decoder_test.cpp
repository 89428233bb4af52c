#include "trace/execution_log_decoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trace/log_reading.hpp"

namespace qemon::trace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const Catalog& catalog() {
  static const Catalog parsed = execution_catalog();
  return parsed;
}

/// "exec_tb 0x401000".
class Reading : public test::LogReading<ExecutionLogDecoder> {
 public:
  Reading() : test::LogReading<ExecutionLogDecoder>() { events.use_catalog(&catalog()); }
  void on_record(const Record& record) override {
    Arguments arguments;
    ASSERT_TRUE(record.decoder->arguments(record, arguments));
    std::string text = events.name(record.event);
    for (std::size_t i = 0; i < arguments.count; ++i)
      text += " " + std::to_string(arguments.values[i].bits);
    records.push_back(text);
  }
  void on_loss(std::uint64_t) override { ADD_FAILURE() << "nothing is ever known to be lost"; }

  std::vector<std::string> records;
};

constexpr std::string_view block = "Trace 0: 0x7f50 [0000000000000000/0000000000000010/0/0] \n";
constexpr std::string_view dump = "RIP=0000000000000020 RFL=00000002\n";
constexpr std::string_view traced = "9@1.000002:exec_tb tb:0x7 pc=0x30\n";
constexpr std::string_view left = "9@1.000002:exec_tb_exit tb:0x7 flags=0x2\n";

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(ExecutionLogDecoder, ReadsBothKindsOfLogs) {
  Reading exec_log, trace_log;

  exec_log.feed("hello\n" + std::string(block) + std::string(dump));
  trace_log.feed("hello\n" + std::string(traced) + std::string(left));

  EXPECT_THAT(exec_log.records, ElementsAre("exec_log_block 16", "exec_log_registers 32"));
  EXPECT_THAT(trace_log.records, ElementsAre("exec_tb 7 48", "exec_tb_exit 7 2"));
}

TEST(ExecutionLogDecoder, GoesOnWithTheOneThatFoundSomething) {
  Reading exec_log, trace_log, dumps;

  exec_log.feed(block);
  exec_log.feed(traced);
  trace_log.feed(traced);
  trace_log.feed(block);
  dumps.feed(repeated(dump, 600));
  dumps.feed(repeated(dump, 600));
  dumps.feed(traced);

  EXPECT_THAT(exec_log.records, ElementsAre("exec_log_block 16"));
  EXPECT_THAT(trace_log.records, ElementsAre("exec_tb 7 48"));
  EXPECT_THAT(dumps.records, SizeIs(1200));
}

TEST(ExecutionLogDecoder, SomeDumpsDecideNothing) {
  Reading log;

  log.feed(dump);
  log.feed(traced);

  EXPECT_THAT(log.records, ElementsAre("exec_log_registers 32", "exec_tb 7 48"));
}

TEST(ExecutionLogDecoder, ALogOfBothIsReadByBoth) {
  Reading log;
  const std::string both = std::string(block) + std::string(traced);

  log.feed(both);
  log.feed(both);

  EXPECT_THAT(log.records, ElementsAre("exec_log_block 16", "exec_tb 7 48", "exec_log_block 16",
                                       "exec_tb 7 48"));
}

TEST(ExecutionLogDecoder, DoesNotMindWherePiecesEnd) {
  for (const auto line : {block, dump, traced}) {
    Reading log;
    for (const char c : repeated(line, 3)) log.feed(std::string(1, c));
    EXPECT_THAT(log.records, SizeIs(3)) << line;
    EXPECT_EQ(log.pending, "");
  }
}

TEST(ExecutionLogDecoder, ALineWithoutEndIsPassedOver) {
  Reading log;

  log.feed(std::string(decode_bytes_max, 'x'));
  log.feed("more\n" + std::string(block));

  EXPECT_THAT(log.records, ElementsAre("exec_log_block 16"));
  EXPECT_EQ(log.pending, "");
}

TEST(ExecutionLogDecoder, BeginsAnewAfterARestart) {
  Reading log;
  log.feed(std::string(decode_bytes_max, 'x'));

  log.decoder.restart();
  log.feed(block);

  EXPECT_THAT(log.records, ElementsAre("exec_log_block 16"));
}

TEST(ExecutionLogDecoder, FindsNothingInOtherLogs) {
  Reading log;

  log.feed("9@1.000002:virtio_notify vdev 0x1 vq 0x2\nqemu: warning\n\n");

  EXPECT_THAT(log.records, IsEmpty());
}

}  // namespace
}  // namespace qemon::trace
