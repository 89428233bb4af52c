#include "daemon/plugin_level.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(PluginFiguresPath, IsThatOfQemusArguments) {
  const std::string plugin = "/usr/lib/qemon/libqemon-plugin.so";
  EXPECT_EQ(plugin_figures_path({"qemu", "-plugin", plugin + ",path=/run/vms/a.tcg"}),
            "/run/vms/a.tcg");
  EXPECT_EQ(plugin_figures_path({"qemu", "--plugin", "file=" + plugin + ",level=all,path=/a"}),
            "/a");
  EXPECT_EQ(plugin_figures_path({"qemu", "-plugin", plugin + ",path=/a,,b,level=all"}), "/a,b");
  EXPECT_EQ(plugin_figures_path(
                {"qemu", "-plugin", "libother.so,path=/x", "-plugin", plugin + ",path=/y"}),
            "/y");
  EXPECT_EQ(plugin_figures_path({"qemu", "-plugin", "libother.so,path=/x"}), std::nullopt);
  EXPECT_EQ(plugin_figures_path({"qemu", "-plugin", plugin}), std::nullopt);
  EXPECT_EQ(plugin_figures_path({"qemu", "-plugin"}), std::nullopt);
}

class PluginLevelTest : public testing::Test {
 protected:
  void SetUp() override {
    plugin::Header header;
    header.magic = plugin::file_magic;
    header.version = plugin::layout_version;
    header.vcpu_slots = 1;
    header.vcpus_offset = sizeof header;
    header.blocks_offset = sizeof header + sizeof(plugin::Vcpu);
    std::ofstream file(path_, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&header), sizeof header);
    file << std::string(sizeof(plugin::Vcpu), '\0');
  }
  std::uint32_t wanted() {
    auto reader = open_plugin_figures(path_);
    return reader ? reader->read()->header.wanted_level : 99;
  }
  Result<void> switch_to(std::uint32_t level) {
    return switch_plugin_level(path_, level, BootClock::now() + 1h, level_, [this] {
      journal_.push_back(level_);
      return written_;
    });
  }

  test::TempDir folder_;
  std::string path_ = (folder_.path() / "vm.tcg").string();
  std::optional<JournaledPluginLevel> level_;
  std::vector<std::optional<JournaledPluginLevel>> journal_;
  Result<void> written_;
};

TEST_F(PluginLevelTest, IsInTheJournalBeforeQemuKnows) {
  ASSERT_TRUE(switch_to(plugin::level_memory));

  EXPECT_EQ(wanted(), plugin::level_memory);
  ASSERT_EQ(journal_.size(), 1U);
  EXPECT_EQ(journal_[0]->found, plugin::level_count);
  EXPECT_EQ(journal_[0]->wanted, plugin::level_memory);
  EXPECT_EQ(journal_[0]->path, path_);
}

TEST_F(PluginLevelTest, IsNotSwitchedWithoutAJournal) {
  written_ = Error{"the disk is full"};

  EXPECT_FALSE(switch_to(plugin::level_memory));

  EXPECT_EQ(wanted(), plugin::level_count);
  EXPECT_FALSE(level_);
}

TEST_F(PluginLevelTest, GoesBackToWhatWasFoundFirst) {
  ASSERT_TRUE(switch_to(plugin::level_memory));
  ASSERT_TRUE(switch_to(plugin::level_all));
  EXPECT_EQ(level_->found, plugin::level_count);

  ASSERT_TRUE(put_plugin_level_back(*level_));
  EXPECT_EQ(wanted(), plugin::level_count);

  // By a person, it is as if nothing had been.
  ASSERT_TRUE(switch_to(plugin::level_count));
  EXPECT_FALSE(level_);
}

TEST_F(PluginLevelTest, LeavesWhatSomebodyElseChose) {
  ASSERT_TRUE(switch_to(plugin::level_memory));
  ASSERT_TRUE(open_plugin_figures(path_)->want_level(plugin::level_blocks));

  EXPECT_TRUE(put_plugin_level_back(*level_));

  EXPECT_EQ(wanted(), plugin::level_blocks);
}

TEST_F(PluginLevelTest, IsNothingToPutBackOnceQemuIsGone) {
  ASSERT_TRUE(switch_to(plugin::level_memory));
  std::filesystem::remove(path_);

  EXPECT_TRUE(put_plugin_level_back(*level_));
}

TEST_F(PluginLevelTest, IsNotForgottenBecauseItsFileCannotBeRead) {
  ASSERT_TRUE(switch_to(plugin::level_memory));
  std::filesystem::resize_file(path_, 100);

  EXPECT_THAT(put_plugin_level_back(*level_).error().detail,
              HasSubstr("is not a file of libqemon-plugin.so"));
}

TEST_F(PluginLevelTest, IsNotLookedForWhereThatMayTakeLong) {
  std::filesystem::create_directory_symlink(folder_.path(), folder_.path() / "link");
  EXPECT_THAT(open_plugin_figures((folder_.path() / "link/vm.tcg").string()).error().detail,
              HasSubstr("has a symbolic link in it: give the plugin the path without"));
  EXPECT_THAT(open_plugin_figures("/run/a\nb").error().detail, HasSubstr("control characters"));
  EXPECT_THAT(open_plugin_figures("vm.tcg").error().detail, HasSubstr("is not absolute"));
  EXPECT_THAT(open_plugin_figures("/run/../vm.tcg").error().detail, HasSubstr("is not absolute"));
}

}  // namespace
}  // namespace qemon::daemon
