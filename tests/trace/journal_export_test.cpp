#include "trace/journal_export.hpp"

#include <gtest/gtest.h>

#include <string>

namespace qemon::trace {
namespace {

// As journalctl 252 prints it.
constexpr std::string_view entry =
    "__CURSOR=s=0639;i=4c9;b=6aa0;m=d5a;t=5f2;x=a1\n"
    "__REALTIME_TIMESTAMP=1795673306540200\n"
    "__MONOTONIC_TIMESTAMP=56477171424\n"
    "_BOOT_ID=6aa0af3d3a4b4b3d8f2f3f4f5f6f7f8f\n"
    "_SOURCE_REALTIME_TIMESTAMP=1795673306040085\n"
    "MESSAGE=one a 5\n"
    "_PID=1234\n"
    "\n";

struct Reading {
  JournalExport reader;
  std::string pending, lines;

  void feed(std::string_view bytes) {
    pending += bytes;
    const auto done = reader.convert(pending, lines);
    ASSERT_LE(done, pending.size());
    pending.erase(0, done);
  }
};

std::string binary(const std::string& name, const std::string& value) {
  std::string field = name + "\n";
  for (unsigned i = 0; i < 8; ++i) field += static_cast<char>(value.size() >> (8 * i) & 0xff);
  return field + value + "\n";
}

TEST(JournalExport, MakesALineOfEachEntry) {
  Reading journal;

  journal.feed(entry);
  journal.feed(entry);

  EXPECT_EQ(journal.lines,
            "1795673306.040085 - qemu[1234]: one a 5\n1795673306.040085 - qemu[1234]: one a 5\n");
  EXPECT_EQ(journal.reader.cursor(), "s=0639;i=4c9;b=6aa0;m=d5a;t=5f2;x=a1");
  EXPECT_EQ(journal.pending, "");
}

TEST(JournalExport, TakesTheTimeOfReceiptForWantOfABetterOne) {
  Reading journal;

  journal.feed("__REALTIME_TIMESTAMP=1795673306540200\nMESSAGE=bare\n_PID=1\n\n");

  EXPECT_EQ(journal.lines, "1795673306.540200 - qemu[1]: bare\n");
}

TEST(JournalExport, ReadsMessagesThatAreNoLines) {
  Reading journal;
  const auto text =
      "__REALTIME_TIMESTAMP=1000001\n" + binary("MESSAGE", "porta a 0x1\nb\x01\n") + "_PID=7\n\n";

  for (const char byte : text) journal.feed(std::string_view(&byte, 1));

  EXPECT_EQ(journal.lines, std::string("1.000001 - qemu[7]: porta a 0x1\nb\x01\n\n"));
}

TEST(JournalExport, TellsWhatJournaldDropped) {
  Reading journal;

  journal.feed(
      "__REALTIME_TIMESTAMP=1000001\nMESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e\nMESSAGE="
      "Suppressed "
      "917 messages from web1.scope\n_PID=300\n\n");

  EXPECT_EQ(journal.lines,
            "1.000001 - systemd-journald[300]: Suppressed 917 messages from web1.scope\n");
}

TEST(JournalExport, PassesOverWhatIsTooLong) {
  const std::string huge(JournalExport::entry_bytes_max + 1, 'x');
  for (const auto& field : {"MESSAGE=" + huge + "\n", binary("MESSAGE", huge)}) {
    Reading journal;
    const auto text = "__REALTIME_TIMESTAMP=1000001\n" + field + "_PID=7\n\n" + std::string(entry);

    for (std::size_t at = 0; at < text.size(); at += 4096)
      journal.feed(std::string_view(text).substr(at, 4096));

    EXPECT_EQ(journal.lines, "1795673306.040085 - qemu[1234]: one a 5\n");
    EXPECT_EQ(journal.reader.overlong(), 1u);
  }
}

TEST(JournalExport, PassesOverEntriesWithoutAMessageOrAProcess) {
  Reading journal;

  journal.feed("\n\n__REALTIME_TIMESTAMP=1000001\nMESSAGE=one\n\n");
  journal.feed("__REALTIME_TIMESTAMP=1000001\n_PID=4\n\n");
  journal.feed("MESSAGE=one\n_PID=4\n\n");

  EXPECT_EQ(journal.lines, "");
}

TEST(JournalExport, BeginsAnew) {
  Reading journal;
  journal.feed("__REALTIME_TIMESTAMP=1000001\nMESSAGE=half");

  journal.reader.restart();
  journal.pending.clear();
  journal.feed(entry);

  EXPECT_EQ(journal.lines, "1795673306.040085 - qemu[1234]: one a 5\n");
}

TEST(JournalExport, SurvivesRubbish) {
  constexpr std::string_view alphabet("MESSAGE\n\n=_PID1\0\xff", 18);
  std::uint32_t state = 1;
  for (int round = 0; round < 500; ++round) {
    Reading journal;
    for (int piece = 0; piece < 20; ++piece) {
      std::string bytes;
      for (int i = 0; i < 50; ++i) {
        state = state * 1664525 + 1013904223;
        bytes += alphabet[(state >> 16) % alphabet.size()];
      }
      journal.feed(bytes);
    }
    EXPECT_LE(journal.lines.size(), 1000u);
  }
}

}  // namespace
}  // namespace qemon::trace
