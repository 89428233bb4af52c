#include "daemon/proc_text.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace qemon::daemon {
namespace {

TEST(ProcText, ReadsTheFieldsOfAStatFile) {
  std::string line = "4711 (a) b (c) S";
  for (int field = 4; field <= 52; ++field) line += " " + std::to_string(field * 10);

  const auto stat = parse_task_stat(line + "\n");

  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->start_ticks, 220U);
  EXPECT_EQ(stat->virtual_bytes, 230U);
  EXPECT_EQ(stat->resident_pages, 240U);
}

TEST(ProcText, RefusesAStatFileThatIsNone) {
  EXPECT_FALSE(parse_task_stat("").has_value());
  EXPECT_FALSE(parse_task_stat("1 (a").has_value());
  EXPECT_FALSE(parse_task_stat("1 (a) S 1 2 3").has_value());
  EXPECT_FALSE(parse_task_stat("1 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 x 23 24")
                   .has_value());
}

TEST(ProcText, KnowsWhenTheHostBooted) {
  const auto boot = host_boot_time();

  ASSERT_TRUE(boot.has_value());
  EXPECT_LE(*boot, static_cast<std::uint64_t>(std::time(nullptr)));
}

}  // namespace
}  // namespace qemon::daemon
