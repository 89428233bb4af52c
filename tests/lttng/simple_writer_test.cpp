#include "lttng/simple_writer.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/trace/simple_trace.hpp"

namespace qemon::lttng {
namespace {

using test::SimpleTrace;
using test::string;
using test::u64s;

constexpr std::uint32_t pid = 4711;

TEST(SimpleWriter, WritesRecordsAsQemuDoes) {
  SimpleWriter writer(pid);

  writer.header();
  writer.mapping(0, "both");
  writer.begin_event(0, 1000);
  writer.add_integer(static_cast<std::uint64_t>(-5));
  writer.add_string("five");
  writer.end_event();
  writer.mapping(1, "none");
  writer.begin_event(1, 1001);
  writer.end_event();
  writer.dropped(7, 1002);

  SimpleTrace expected;
  expected.header().mapping(0, "both");
  expected.event(0, 1000, u64s({static_cast<std::uint64_t>(-5)}) + string("five"), pid);
  expected.mapping(1, "none").event(1, 1001, "", pid).dropped(1002, 7, pid);
  EXPECT_EQ(writer.bytes(), expected.bytes);
}

TEST(SimpleWriter, CutsStringsAsQemuDoes) {
  SimpleWriter writer(pid);

  writer.begin_event(0, 1000);
  writer.add_string(std::string(600, 'x'));
  writer.end_event();

  SimpleTrace expected;
  expected.event(0, 1000, string(std::string(512, 'x')), pid);
  EXPECT_EQ(writer.bytes(), expected.bytes);
}

TEST(SimpleWriter, StartsAnewWhenItsBytesWereTaken) {
  SimpleWriter writer(pid);
  writer.header();

  writer.clear();
  writer.mapping(0, "none");

  EXPECT_EQ(writer.bytes(), SimpleTrace().mapping(0, "none").bytes);
}

}  // namespace
}  // namespace qemon::lttng
