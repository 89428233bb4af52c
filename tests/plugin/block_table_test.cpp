#include "plugin/block_table.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/temp_dir.hpp"

namespace qemon::plugin {
namespace {

class BlockTableTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.path = path_.c_str();
    options.block_capacity = 1024;
    ASSERT_TRUE(make_figures_file(options, Header{}, 1, file_));
    ASSERT_TRUE(table_.begin(file_, 1024));
  }
  void TearDown() override { munmap(file_.header, file_.bytes); }
  Block* add(std::uint64_t address, std::uint32_t instructions) {
    return table_.find_or_add(address, instructions, [](Block& block) { block.bytes = 5; });
  }

  test::TempDir folder_;
  std::string path_ = (folder_.path() / "web1.tcg").string();
  FiguresFile file_;
  BlockTable table_;
};

TEST_F(BlockTableTest, GivesABlockTheEntryThatItHad) {
  Block* const first = add(0x1000, 3);
  Block* const longer = add(0x1000, 4);
  first->executions = 7;

  EXPECT_NE(first, longer);
  EXPECT_EQ(add(0x1000, 3), first);
  EXPECT_EQ(first->executions, 7U);
  EXPECT_EQ(first->bytes, 5U);
  EXPECT_EQ(file_.header->block_count, 2U);
}

TEST_F(BlockTableTest, SaysWhenThereIsNoRoom) {
  for (std::uint64_t at = 0; at < 1024; ++at) ASSERT_NE(add(at * 16, 1), nullptr);

  EXPECT_EQ(add(0x999999, 1), nullptr);
  EXPECT_EQ(add(16, 1), &file_.blocks[1]);
  EXPECT_EQ(file_.header->block_count, 1024U);
}

TEST_F(BlockTableTest, IsForManyThreads) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([this] {
      for (std::uint64_t at = 0; at < 1000; ++at) (void)add(at * 16, 2);
    });
  for (auto& thread : threads) thread.join();

  EXPECT_EQ(file_.header->block_count, 1000U);
}

}  // namespace
}  // namespace qemon::plugin
