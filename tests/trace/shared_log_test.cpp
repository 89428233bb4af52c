#include "trace/shared_log.hpp"

#include <gtest/gtest.h>

#include <string>

namespace qemon::trace {
namespace {

using Kind = SharedLogLine::Kind;

void expect_message(const SharedLogLine& line, std::uint32_t id, std::string_view text,
                    std::int64_t time_ns) {
  EXPECT_EQ(line.kind, Kind::message);
  EXPECT_EQ(line.prefix.id, id);
  EXPECT_EQ(line.text, text);
  EXPECT_TRUE(line.prefix.has_time);
  EXPECT_EQ(line.prefix.time_ns, time_ns);
  EXPECT_EQ(line.count, 1u);
  EXPECT_FALSE(line.cut);
}

void expect_no_time(const SharedLogLine& line, std::uint32_t id, std::string_view text) {
  EXPECT_EQ(line.kind, Kind::message);
  EXPECT_EQ(line.prefix.id, id);
  EXPECT_EQ(line.text, text);
  EXPECT_FALSE(line.prefix.has_time);
}

void expect_loss(const SharedLogLine& line, std::uint64_t count, std::uint32_t id,
                 std::string_view unit) {
  EXPECT_EQ(line.kind, Kind::loss);
  EXPECT_EQ(line.count, count);
  EXPECT_EQ(line.prefix.id, id);
  EXPECT_EQ(line.unit, unit);
}

// Lines of Linux 6.18.
TEST(FtraceLine, HasThreadTimeAndText) {
  expect_message(
      parse_ftrace_line("           <...>-31913   [001] ...1. 56477.171424: tracing_mark_write: "
                        "virtio_blk_req_complete vdev 0x55 req 0x66 status 0"),
      31913, "virtio_blk_req_complete vdev 0x55 req 0x66 status 0", 56477171424000);
}

TEST(FtraceLine, MayNameItsThreadAnything) {
  for (const std::string name : {"CPU 0/TCG", "a-1 [000] 5.0: ", "x", ""}) {
    const std::string columns(16 - name.size(), ' ');
    expect_message(
        parse_ftrace_line(columns + name +
                          "-7       [000] .....     1.000002: tracing_mark_write: one a 5"),
        7, "one a 5", 1000002000);
  }
}

TEST(FtraceLine, MayHaveMoreOrLessInFrontOfItsTime) {
  const std::string thread = "           <...>-31913   ";
  const std::string text = "1.000002: tracing_mark_write: one ";
  for (const std::string context :
       {"[001] ", "[001] .... ", "[001] d..h21. ", "(  31900) [001] ...1. ",
        "(-------) [001] ...1. ", "[127] ...1. 12"}) {
    const auto whole = thread + context + text;

    const auto line = parse_ftrace_line(whole);

    EXPECT_EQ(line.kind, Kind::message) << context;
    EXPECT_EQ(line.text, "one ") << context;
    EXPECT_TRUE(line.prefix.has_time) << context;
  }
}

TEST(FtraceLine, MayShowTheAddressOfItsFunction) {
  expect_message(parse_ftrace_line("           <...>-31913   [001] ...1.     1.000002: "
                                   "tracing_mark_write+0x1f4/0x2a0 <ffffffff811a>: one a 5"),
                 31913, "one a 5", 1000002000);
}

TEST(FtraceLine, HasNoTimeOfAClockThatCounts) {
  expect_no_time(parse_ftrace_line(
                     "           <...>-31913   [001] ...1.   83451: tracing_mark_write: one a 5"),
                 31913, "one a 5");
}

TEST(FtraceLine, TellsWhatWasLost) {
  expect_loss(parse_ftrace_line("CPU:0 [LOST 4711 EVENTS]"), 4711, 0, "");
  expect_loss(parse_ftrace_line("CPU:127 [LOST EVENTS]"), 0, 0, "");
}

TEST(FtraceLine, OfAnotherTracerIsPassedOver) {
  EXPECT_EQ(parse_ftrace_line("          <idle>-0       [001] d.h2. 56477.171424: "
                              "sched_waking: comm=qemu pid=1 prio=120 target_cpu=000")
                .kind,
            Kind::other);
  EXPECT_EQ(
      parse_ftrace_line("           <...>-1       [001] ...1. 56477.171424: # 4711 deadbeef").kind,
      Kind::other);
}

TEST(FtraceLine, WithoutItsPrefixIsTheRestOfOneBefore) {
  const std::string whole =
      "           <...>-31913   [001] ...1. 56477.171424: tracing_mark_write: one a 5";

  EXPECT_EQ(parse_ftrace_line("").kind, Kind::text);
  EXPECT_EQ(parse_ftrace_line("b 0x1").kind, Kind::text);
  EXPECT_EQ(parse_ftrace_line("CPU:0 [LOST x EVENTS]").kind, Kind::text);
  EXPECT_EQ(parse_ftrace_line("           <...>-99999999999 [001] ...1. 5.000001: "
                              "tracing_mark_write: one a 5")
                .kind,
            Kind::text);
  for (std::size_t size = 0; size < whole.find("tracing"); ++size)
    EXPECT_EQ(parse_ftrace_line(std::string_view(whole).substr(0, size)).kind, Kind::text) << size;
}

TEST(FtraceLine, IsCutWhereQemusBufferEnds) {
  const std::string prefix =
      "           <...>-31913   [001] ...1. 56477.171424: tracing_mark_write: ";

  EXPECT_FALSE(parse_ftrace_line(prefix + std::string(510, 'a')).cut);
  EXPECT_TRUE(parse_ftrace_line(prefix + std::string(511, 'a')).cut);
}

// Lines of rsyslogd 8.2302.
TEST(SyslogLine, OfTheTraditionalFormatHasNoTime) {
  expect_no_time(parse_syslog_line("Nov 26 06:08:26 vm qemu-system-x86_64[1234]: "
                                   "virtio_blk_req_complete vdev 0x55 req 0x66 status 0"),
                 1234, "virtio_blk_req_complete vdev 0x55 req 0x66 status 0");
  expect_no_time(parse_syslog_line("Nov  6 06:08:26 vm qemu-system-x86_64[1234]: noargs "), 1234,
                 "noargs ");
}

TEST(SyslogLine, OfShortPreciseHasATimeWithoutAYear) {
  expect_no_time(parse_syslog_line("Nov 26 06:08:26.540085 vm qemu-system-x86_64[1234]: one a 5"),
                 1234, "one a 5");
}

TEST(SyslogLine, OfTheFileFormatHasATime) {
  expect_message(parse_syslog_line("2026-11-26T06:08:26.540085+00:00 vm "
                                   "qemu-system-x86_64[1234]: one a 5"),
                 1234, "one a 5", 1795673306540085000);
  expect_message(parse_syslog_line("2026-11-26T07:38:26.540085+01:30 vm "
                                   "qemu-system-x86_64[1234]: one a 5"),
                 1234, "one a 5", 1795673306540085000);
  expect_message(parse_syslog_line("2026-11-26T01:08:26.540085-0500 vm "
                                   "qemu-system-x86_64[1234]: one a 5"),
                 1234, "one a 5", 1795673306540085000);
  expect_message(parse_syslog_line("2026-11-26T06:08:26.540085Z vm "
                                   "qemu-system-x86_64[1234]: one a 5"),
                 1234, "one a 5", 1795673306540085000);
}

TEST(SyslogLine, OfShortUnixHasATime) {
  expect_message(parse_syslog_line("1795673306.540085 vm qemu-system-x86_64[1234]: one a 5"), 1234,
                 "one a 5", 1795673306540085000);
}

TEST(SyslogLine, OfWholeSecondsHasNoTime) {
  expect_no_time(
      parse_syslog_line("2026-11-26T06:08:26+00:00 vm qemu-system-x86_64[1234]: one a 5"), 1234,
      "one a 5");
  expect_no_time(
      parse_syslog_line("2026-11-26T06:08:26.540+00:00 vm qemu-system-x86_64[1234]: one a 5"), 1234,
      "one a 5");
}

TEST(SyslogLine, OfRfc5424HasATime) {
  expect_message(parse_syslog_line("<30>1 2026-11-26T06:08:26.540085+00:00 vm qemu-system-x86_64 "
                                   "1234 - -  one a 5"),
                 1234, "one a 5", 1795673306540085000);
  expect_message(
      parse_syslog_line("<30>1 2026-11-26T06:08:26.540085+00:00 vm qemu-system-x86_64 1234 - "
                        "[a@1 b=\"x]\\\"\" c=\"\"][d] one a 5"),
      1234, "one a 5", 1795673306540085000);
}

TEST(SyslogLine, MayBeRepeated) {
  const auto line = parse_syslog_line(
      "2026-11-26T06:08:26.540085+00:00 vm qemu-system-x86_64[1234]: message repeated 3 times: [ "
      "one "
      "a 5]");

  EXPECT_EQ(line.kind, Kind::message);
  EXPECT_EQ(line.text, "one a 5");
  EXPECT_EQ(line.count, 3u);
  EXPECT_FALSE(line.cut);
  EXPECT_TRUE(parse_syslog_line("Nov 26 06:08:26 vm qemu[1]: message repeated 3 times: [" +
                                std::string(800, 'a') + "]")
                  .cut);
}

TEST(SyslogLine, MayRepeatTheOneBefore) {
  const auto line = parse_syslog_line("Nov 26 06:08:26 vm last message repeated 17 times");

  EXPECT_EQ(line.kind, Kind::repetition);
  EXPECT_EQ(line.count, 17u);
}

TEST(SyslogLine, TellsWhatRsyslogdLost) {
  expect_loss(parse_syslog_line("Nov 26 06:08:26 vm rsyslogd: imuxsock[pid: 57, name: "
                                "/usr/bin/qemu-system-x86_64]: 1024472 messages lost due to "
                                "rate-limiting (20000 allowed within 300 seconds)"),
              1024472, 57, "");
  expect_loss(parse_syslog_line("2026-11-26T06:08:26.540085+00:00 vm rsyslogd-2177: imjournal: 236 "
                                "messages lost due to rate-limiting"),
              236, 0, "");
  expect_loss(
      parse_syslog_line("<46>1 2026-11-26T06:08:26.540085+00:00 vm rsyslogd - - -  imjournal: "
                        "236 messages lost due to rate-limiting"),
      236, 0, "");
}

TEST(SyslogLine, TellsWhatJournaldSuppressed) {
  expect_loss(parse_syslog_line("Jun 28 03:08:43 localhost systemd-journald[1864]: Suppressed 917 "
                                "messages from machine-qemu\\x2d1\\x2dweb1.scope"),
              917, 0, "machine-qemu\\x2d1\\x2dweb1.scope");
}

TEST(SyslogLine, BelievesALossToTheDaemonOnly) {
  const auto line = parse_syslog_line(
      "Nov 26 06:08:26 vm guest[9]: imjournal: 236 messages lost due to rate-limiting");

  EXPECT_EQ(line.kind, Kind::message);
  EXPECT_EQ(line.prefix.id, 9u);
}

TEST(SyslogLine, WithoutAProcessIsPassedOver) {
  EXPECT_EQ(parse_syslog_line("Nov 26 06:08:26 vm kernel: [56477.171424] one a 5").kind,
            Kind::other);
  EXPECT_EQ(parse_syslog_line("Nov 26 06:08:26 vm rsyslogd: imuxsock begins").kind, Kind::other);
  EXPECT_EQ(parse_syslog_line("Nov 26 06:08:26 vm -- MARK --").kind, Kind::other);
  EXPECT_EQ(parse_syslog_line("Nov 26 06:08:26 vm qemu[99999999999]: one a 5").kind, Kind::other);
}

TEST(SyslogLine, WithoutATimeIsTheRestOfOneBefore) {
  for (const std::string_view line :
       {"", "b 0x1", "<", "<30>", "<30>2 2026-11-26T06:08:26.540085+00:00 vm qemu 1 - - one a 5",
        "<30>1 2026-11-26T06:08:26.540085+00:00 vm qemu 1 - [a one a 5",
        "<30>1 2026-11-26T06:08:26.540085+00:00 vm qemu 1 - [\\", "Nov 26 06:08:26",
        "nov 26 06:08:26 vm qemu[1]: one a 5", "Nov 26 06:08:26. vm qemu[1]: one a 5",
        "2026-11-26T06:08:26.540085 vm qemu[1]: one a 5",
        "2026-11-26T06:08:26.540085+1 vm qemu[1]: one a 5", "1795673306 vm qemu[1]: one a 5",
        "1795673306.540 vm qemu[1]: one a 5", "99999999999999.540085 vm qemu[1]: one a 5"})
    EXPECT_EQ(parse_syslog_line(line).kind, Kind::text) << line;
}

}  // namespace
}  // namespace qemon::trace
