#include "daemon/event_pattern.hpp"

#include <gtest/gtest.h>

#include <string>

namespace qemon::daemon {
namespace {

TEST(EventPattern, WithoutAStarIsAName) {
  EXPECT_TRUE(matches_event_pattern("exec_tb", "exec_tb"));
  EXPECT_FALSE(matches_event_pattern("exec_tb", "exec_tb_exit"));
  EXPECT_FALSE(matches_event_pattern("exec_t?", "exec_tb"));
  EXPECT_FALSE(matches_event_pattern("EXEC_TB", "exec_tb"));
  EXPECT_FALSE(matches_event_pattern("", "exec_tb"));
}

TEST(EventPattern, StarStandsForAnyText) {
  EXPECT_TRUE(matches_event_pattern("*", "exec_tb"));
  EXPECT_TRUE(matches_event_pattern("virtio_blk_*", "virtio_blk_handle_read"));
  EXPECT_TRUE(matches_event_pattern("virtio_blk_*", "virtio_blk_"));
  EXPECT_TRUE(matches_event_pattern("*_irq", "pic_set_irq"));
  EXPECT_TRUE(matches_event_pattern("*a*b*a*", "xxaxbxbxa"));
  EXPECT_FALSE(matches_event_pattern("virtio_blk_*", "virtio_net_rx"));
  EXPECT_FALSE(matches_event_pattern("*_irq", "pic_set_irqs"));
}

TEST(EventPattern, QuestionMarkStandsForOneCharacterWhereThereIsAStar) {
  EXPECT_TRUE(matches_event_pattern("blk_co_p?*v", "blk_co_preadv"));
  EXPECT_TRUE(matches_event_pattern("?*", "x"));
  EXPECT_FALSE(matches_event_pattern("?*", ""));
}

TEST(EventPattern, OtherSpecialCharactersOfTheShellAreLiteral) {
  EXPECT_FALSE(matches_event_pattern("[ev]*", "exec_tb"));
  EXPECT_FALSE(matches_event_pattern("exec\\_*", "exec_tb"));
}

TEST(EventPattern, HostilePatternsTakeNoExponentialTime) {
  const std::string name(2000, 'a');
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  pattern += "*b";

  EXPECT_FALSE(matches_event_pattern(pattern, name));
}

}  // namespace
}  // namespace qemon::daemon
