#include "plugin/figures_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "plugin/figures_file.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::plugin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FiguresReaderTest : public ::testing::Test {
 protected:
  void SetUp() override { make(); }
  void TearDown() override { munmap(file_.header, file_.bytes); }
  void make() {
    Options options;
    options.path = path_.c_str();
    options.block_capacity = 1024;
    ASSERT_TRUE(make_figures_file(options, Header{}, 2, file_));
  }
  std::string why_not() {
    auto reader = FiguresReader::open(path_);
    return reader ? "" : reader.error().detail;
  }

  test::TempDir folder_;
  std::string path_ = (folder_.path() / "web1.tcg").string();
  FiguresFile file_;
};

TEST_F(FiguresReaderTest, ReadsTheVcpusThatHaveRun) {
  file_.vcpus[1].started = 1;
  file_.vcpus[1].instructions = 42;
  file_.vcpus[1].accesses[target_device][operation_store][2] = 7;
  auto reader = FiguresReader::open(path_);
  ASSERT_TRUE(reader) << reader.error().detail;

  const auto figures = reader->read();

  ASSERT_TRUE(figures) << figures.error().detail;
  ASSERT_EQ(figures->vcpus.size(), 1U);
  EXPECT_EQ(figures->vcpus[0].index, 1U);
  EXPECT_EQ(figures->vcpus[0].counts.instructions, 42U);
  EXPECT_EQ(figures->vcpus[0].counts.accesses[target_device][operation_store][2], 7U);
}

TEST_F(FiguresReaderTest, ReadsSomeOfTheBlocks) {
  for (std::uint64_t at = 0; at < 5; ++at) file_.blocks[at].address = 0x7c00 + at;
  file_.header->block_count = 5;
  const auto reader = FiguresReader::open(path_);
  const auto addresses = [&](std::uint64_t first, std::uint64_t count) {
    std::vector<std::uint64_t> found;
    for (const auto& block : reader->read_blocks(first, count).value())
      found.push_back(block.address);
    return found;
  };

  EXPECT_THAT(addresses(1, 2), ElementsAre(0x7c01, 0x7c02));
  EXPECT_THAT(addresses(3, 10), ElementsAre(0x7c03, 0x7c04));
  EXPECT_THAT(addresses(5, 1), ElementsAre());
  EXPECT_THAT(addresses(~std::uint64_t{0}, 1), ElementsAre());
}

TEST_F(FiguresReaderTest, ReadsBlocks) {
  file_.blocks[0].address = 0x7c00;
  file_.blocks[0].executions = 3;
  file_.header->block_count = 1;

  const auto blocks = FiguresReader::open(path_)->read_blocks();

  ASSERT_TRUE(blocks);
  ASSERT_EQ(blocks->size(), 1U);
  EXPECT_EQ((*blocks)[0].address, 0x7c00U);
}

// The writer does what the plugin does: all figures of a page are of the same moment.
TEST_F(FiguresReaderTest, NeverSeesHalfOfAPage) {
  Vcpu& page = file_.vcpus[0];
  page.started = 1;
  std::atomic<bool> over = false;
  std::thread writer([&] {
    for (std::uint64_t count = 1; !over; ++count) {
      std::atomic_ref sequence(page.sequence);
      sequence.store(sequence.load() + 1);
      std::atomic_ref(page.instructions).store(count * 3);
      std::atomic_ref(page.blocks).store(count);
      sequence.store(sequence.load() + 1);
      if (count % 100 == 0) std::this_thread::yield();
    }
  });
  auto reader = FiguresReader::open(path_);
  ASSERT_TRUE(reader);
  std::set<std::uint64_t> seen;
  while (seen.size() < 200) {
    const auto figures = reader->read();
    if (!figures || figures->vcpus.empty()) continue;
    const auto& counts = figures->vcpus[0].counts;
    EXPECT_EQ(counts.instructions, 3 * counts.blocks);
    seen.insert(counts.blocks);
  }
  over = true;
  writer.join();
}

TEST_F(FiguresReaderTest, TakesWhatAQemuLeftThatWasKilledWhileItWrote) {
  file_.vcpus[0].started = 1;
  file_.vcpus[0].sequence = 5;
  file_.vcpus[0].blocks = 8;
  munmap(file_.header, file_.bytes);

  const auto figures = FiguresReader::open(path_)->read();

  ASSERT_TRUE(figures) << figures.error().detail;
  EXPECT_EQ(figures->vcpus[0].counts.blocks, 8U);
  make();
}

TEST_F(FiguresReaderTest, TakesWhatWasOfAVcpuThatWaitsInTheMiddleOfWriting) {
  file_.vcpus[0].started = 1;
  file_.vcpus[0].blocks = 8;
  auto reader = FiguresReader::open(path_);
  ASSERT_TRUE(reader->read());
  file_.vcpus[0].sequence = 1;
  file_.vcpus[0].blocks = 9;

  EXPECT_EQ(reader->read()->vcpus.at(0).counts.blocks, 8U);
  EXPECT_TRUE(FiguresReader::open(path_)->read()->vcpus.empty());
}

TEST_F(FiguresReaderTest, WantsALevel) {
  auto reader = FiguresReader::open(path_);

  ASSERT_TRUE(reader->want_level(level_blocks));

  EXPECT_EQ(file_.header->wanted_level, level_blocks);
}

TEST_F(FiguresReaderTest, SeesThatAnotherFileTookItsPlace) {
  auto reader = FiguresReader::open(path_);
  EXPECT_TRUE(reader->is_still_there());
  munmap(file_.header, file_.bytes);
  make();

  EXPECT_FALSE(reader->is_still_there());
}

TEST_F(FiguresReaderTest, SurvivesAFileThatIsCutShort) {
  file_.vcpus[1].started = 1;
  file_.header->block_count = 1;
  auto reader = FiguresReader::open(path_);
  ASSERT_EQ(truncate(path_.c_str(), sizeof(Header) + 100), 0);

  const auto figures = reader->read();

  ASSERT_FALSE(figures);
  EXPECT_THAT(figures.error().detail, HasSubstr("has been cut short"));
  EXPECT_FALSE(reader->read_blocks());
}

TEST_F(FiguresReaderTest, RefusesWhatIsNoSuchFile) {
  file_.header->version = 9;
  EXPECT_THAT(why_not(), HasSubstr("is of layout 9"));
  file_.header->version = layout_version;
  file_.header->vcpu_slots = 0xffffffff;
  EXPECT_THAT(why_not(), HasSubstr("is damaged"));
  file_.header->vcpu_slots = 2;
  file_.header->blocks_offset = ~std::uint64_t{0} - 5;
  EXPECT_THAT(why_not(), HasSubstr("is damaged"));
  file_.header->blocks_offset = sizeof(Header);
  file_.header->magic[0] = 'X';
  EXPECT_THAT(why_not(), HasSubstr("is not a file of libqemon-plugin.so"));
  std::filesystem::resize_file(path_, 10);
  EXPECT_THAT(why_not(), HasSubstr("is not a file of libqemon-plugin.so"));
  std::filesystem::remove(path_);
  EXPECT_THAT(why_not(), HasSubstr("No such file"));
  std::filesystem::create_directory(path_);
  EXPECT_THAT(why_not(), HasSubstr("is not a regular file"));
}

TEST(PluginLevel, HasNames) {
  for (const auto* name : {"count", "memory", "blocks", "all"}) {
    const auto level = level_named(name);
    ASSERT_TRUE(level);
    EXPECT_EQ(level_name(*level), name);
  }
  EXPECT_EQ(level_named("most").error().detail,
            "unknown level 'most': use count, memory, blocks or all");
}

}  // namespace
}  // namespace qemon::plugin
