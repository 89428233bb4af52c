#include "qmp/hmp_text.hpp"

#include <gtest/gtest.h>

#include "qmp/error.hpp"

namespace qemon::qmp {
namespace {

TEST(HmpText, QuotesAnArgument) {
  EXPECT_EQ(*quote_hmp_argument("/run/qemon/t"), "\"/run/qemon/t\"");
  EXPECT_EQ(*quote_hmp_argument("a \"b\" c\\d 'e'"), "\"a \\\"b\\\" c\\\\d 'e'\"");
  EXPECT_EQ(*quote_hmp_argument(""), "\"\"");
}

TEST(HmpText, RefusesALineBreakInAnArgument) {
  for (const std::string_view bad :
       {std::string_view("a\nb"), std::string_view("a\rb"), std::string_view("a\0b", 3)}) {
    const auto quoted = quote_hmp_argument(bad);

    ASSERT_FALSE(quoted);
    EXPECT_EQ(quoted.error().code, errc::invalid_argument);
    EXPECT_EQ(quoted.error().detail, "\"a b\" contains a line break or NUL; use another name");
  }
}

TEST(HmpText, CleansAnAnswer) {
  EXPECT_EQ(clean_hmp_text("a\r\nb\r\n"), "a\nb");
  EXPECT_EQ(clean_hmp_text("a\rb\n\r\n\n"), "a\rb");
  EXPECT_EQ(clean_hmp_text("\r\n"), "");
  EXPECT_EQ(clean_hmp_text(""), "");
}

TEST(HmpText, ReadsTheTraceFileStatus) {
  const auto off = parse_trace_file_status("Trace file \"trace-42\" off.");
  const auto on = parse_trace_file_status("Trace file \"/a \"b\" on.\" on.");

  ASSERT_TRUE(off);
  EXPECT_EQ(off->name, "trace-42");
  EXPECT_FALSE(off->on);
  ASSERT_TRUE(on);
  EXPECT_EQ(on->name, "/a \"b\" on.");
  EXPECT_TRUE(on->on);
}

TEST(HmpText, RefusesAnotherStatus) {
  for (const std::string text : {"unknown command: 'trace-file'", "", "Trace file \"",
                                 "Trace file \" on.", "Trace file \"x\" maybe."}) {
    const auto status = parse_trace_file_status(text);

    ASSERT_FALSE(status) << text;
    EXPECT_EQ(status.error().code, errc::command_failed);
  }
}

TEST(TraceEventLines, AreNamesWithStates) {
  const auto lines = parse_trace_event_lines("exec_tb : state 1\nscsi_READ : state 0");

  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].name, "exec_tb");
  EXPECT_TRUE(lines[0].on);
  EXPECT_EQ(lines[1].name, "scsi_READ");
  EXPECT_FALSE(lines[1].on);
}

TEST(TraceEventLines, PassOverEverythingElse) {
  EXPECT_TRUE(parse_trace_event_lines("").empty());
  EXPECT_TRUE(parse_trace_event_lines("unknown command: 'info trace-events'").empty());
  EXPECT_TRUE(parse_trace_event_lines(" : state 1\nname : state 2\nname : state \n\n").empty());
}

}  // namespace
}  // namespace qemon::qmp
