#include "trace/log_prefix.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace qemon::trace {
namespace {

struct Read {
  std::ptrdiff_t size = 0;
  bool has_time = false;
  std::int64_t time_ns = 0;
  std::uint32_t id = 0;
  bool operator==(const Read&) const = default;
};

template <typename Parse>
Read read(const std::string& line, Parse parse) {
  LogPrefix prefix;
  const char* const begin = line.data();
  const char* const behind = parse(begin, begin + line.size(), prefix);
  return {behind - begin, prefix.has_time, prefix.time_ns, prefix.id};
}

/// What a reader makes of lines, one after another, against what each is by itself.
void expect_the_same(const std::vector<std::string>& lines) {
  LogTimeReader reader;
  for (const auto& line : lines) {
    const auto at_once = read(line, parse_log_time);
    const auto in_turn = read(line, [&](const char* at, const char* end, LogPrefix& prefix) {
      return reader.read(at, end, prefix);
    });
    EXPECT_EQ(in_turn, at_once) << line;
  }
}

TEST(LogTimeReader, ReadsLinesOfOneSecondAsEachByItself) {
  const std::string rest = "virtio_notify vdev 0x55d0 vq 0x7f00 and more";
  expect_the_same({"30048@1795377070.851320:" + rest, "30048@1795377070.851321:" + rest,
                   "30048@1795377071.000000:" + rest, "30049@1795377071.000001:" + rest,
                   "30049@1795377071.00000:" + rest, "30049@1795377071.0000001:" + rest,
                   "30049@1795377071:" + rest, "30049@1795377071.000001" + rest,
                   "30049@1795377071.00x001:" + rest, "30049@1795377071.000002:" + rest});
}

TEST(LogTimeReader, ReadsBothFormsInTurn) {
  const std::string rest = "virtio_notify vdev 0x55d0 vq 0x7f00 and more";
  expect_the_same({"2026-11-22T20:17:07.141597Z " + rest, "2026-11-22T20:17:07.141598Z " + rest,
                   "2026-11-22T20:17:07Z " + rest, "2026-11-22T20:17:07.14Z " + rest,
                   "2026-11-22T20:17:07.141598123Z " + rest, "2026-11-22T20:17:08.141598Z " + rest,
                   "2026-11-22T20:17:08.141598:" + rest, "1@2.345678:" + rest, "1@2.345679:" + rest,
                   "1@23.345679:" + rest, "30048@1795377070.851320:" + rest,
                   "2026-11-22T20:17:08.141599Z " + rest, "2026-11-22T20:17:08.141599Z", ""});
}

TEST(LogTimeReader, ReadsWhatWasDamagedAsEachByItself) {
  std::mt19937 random(20261125);
  const std::vector<std::string> sound{"30048@1795377070.851320:a_name with text behind it",
                                       "30048@1795377070.851399:a_name with text behind it",
                                       "2026-11-22T20:17:07.141597Z a_name with text behind it",
                                       "2026-11-22T20:17:07.991597Z a_name with text behind it"};
  std::vector<std::string> lines;
  for (int i = 0; i < 20'000; ++i) {
    auto line = sound[random() % sound.size()];
    if (random() % 3 == 0) line[random() % line.size()] = static_cast<char>(random() % 255 + 1);
    if (random() % 7 == 0) line.resize(random() % line.size());
    lines.push_back(line);
  }
  expect_the_same(lines);
}

}  // namespace
}  // namespace qemon::trace
