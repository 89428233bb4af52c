#include "daemon/experiment_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "daemon/experiment.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

json header(const std::string& name, double started) {
  return {{"name", name}, {"started", started}, {"state", "finished"}, {"vms", {"web1"}}};
}

json summary(const std::string& name, double started) {
  auto object = header(name, started);
  object["vms"] = json::array({{{"vm", "web1"}, {"counters", json::array()}}});
  return object;
}

class ExperimentStoreTest : public testing::Test {
 protected:
  ExperimentStore::Opened open() {
    auto opened = ExperimentStore::open(directory.path().string());
    if (!opened) throw std::runtime_error(opened.error().detail);
    return std::move(*opened);
  }
  [[nodiscard]] std::string file(const std::string& name) const {
    return directory / ("experiments/" + name);
  }

  test::TempDir directory;
};

TEST_F(ExperimentStoreTest, KeepsWhatHasEndedForTheNextQemond) {
  auto opened = open();
  ASSERT_TRUE(opened.store.write("a", header("a", 1), summary("a", 1)));

  const auto again = open();

  EXPECT_EQ(again.store.headers().at("a"), header("a", 1));
  EXPECT_EQ(json::parse(*again.store.read("a")), summary("a", 1));
  EXPECT_THAT(again.running, IsEmpty());
  struct stat about {};
  ASSERT_EQ(::stat(file("a.json").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
}

TEST_F(ExperimentStoreTest, KeepsTheOldOneWhenTheNewOneCannotBeWritten) {
  auto opened = open();
  ASSERT_TRUE(opened.store.write("a", header("a", 1), summary("a", 1)));
  std::filesystem::remove_all(directory / "experiments");  // Writing there fails from now on.

  EXPECT_FALSE(opened.store.write_running("a", summary("a", 2)));

  EXPECT_EQ(opened.store.headers().at("a"), header("a", 1));
}

TEST_F(ExperimentStoreTest, LeavesNothingOfWhatCannotBeWritten) {
  auto opened = open();
  std::filesystem::create_directories(file("a.json") + "/in the way");

  EXPECT_FALSE(opened.store.write("a", header("a", 1), summary("a", 1)));

  EXPECT_FALSE(std::filesystem::exists(file(".a.json")));
}

TEST_F(ExperimentStoreTest, TellsWhatRan) {
  auto opened = open();
  auto about = header("a", 1);
  about["state"] = "running";
  ASSERT_TRUE(opened.store.write_running("a", about));

  const auto again = open();

  EXPECT_THAT(again.running, ElementsAre(about));
  EXPECT_FALSE(again.store.contains("a"));
}

TEST_F(ExperimentStoreTest, DropsWhatBeganFirst) {
  auto opened = open();
  for (std::size_t i = 0; i <= ExperimentStore::kept_max; ++i) {
    const auto name = "e" + std::to_string(i);
    const auto started = 1000.0 - static_cast<double>(i);
    ASSERT_TRUE(opened.store.write(name, header(name, started), summary(name, started)));
  }

  EXPECT_EQ(opened.store.headers().size(), ExperimentStore::kept_max);
  // The last one is the oldest, but it was just written; the one before it has gone.
  EXPECT_TRUE(opened.store.contains("e100"));
  EXPECT_FALSE(opened.store.contains("e99"));
  EXPECT_FALSE(std::filesystem::exists(file("e99.json")));
}

TEST_F(ExperimentStoreTest, RefusesWhatIsNotOurs) {
  (void)open();
  std::filesystem::create_symlink("/etc/passwd", file("link.json"));
  test::write_file(file("text.json"), "hello");
  test::write_file(file("other.json"), summary("another", 1).dump());

  const auto again = open();

  EXPECT_THAT(again.store.headers(), IsEmpty());
  EXPECT_THAT(again.refused, ElementsAre(HasSubstr("link.json: is a symbolic link"),
                                         HasSubstr("other.json: is no experiment"),
                                         HasSubstr("text.json: is no experiment")));
}

TEST_F(ExperimentStoreTest, RefusesWhatNestsTooDeepToBeCopied) {
  (void)open();
  auto text = summary("deep", 1).dump();
  const std::string head =
      "{\"a\":" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + ",";
  text.replace(0, 1, head);
  test::write_file(file("deep.json"), text);

  const auto again = open();

  EXPECT_THAT(again.refused, ElementsAre(HasSubstr("deep.json: is no experiment")));
}

TEST_F(ExperimentStoreTest, DoesNotFollowALinkInItsPlace) {
  std::filesystem::create_directory_symlink("/tmp", directory / "experiments");

  const auto opened = ExperimentStore::open(directory.path().string());

  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().detail, HasSubstr("is a symbolic link or no folder: remove it"));
}

ExperimentWish wish_called(const std::string& name) {
  ExperimentWish wish;
  wish.name = name;
  return wish;
}

TEST(ExperimentWish, HasANameThatCanBeAFile) {
  for (const char* name : {"a", "cold.1", "_x-y", "9"})
    EXPECT_TRUE(check(wish_called(name))) << name;
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("-a"), std::string("a/b"),
        std::string("a b"), std::string("\xc3\xa4"), std::string(65, 'a')})
    EXPECT_FALSE(check(wish_called(name))) << name;
}

TEST(ExperimentWish, HasLabelsThatPrometheusTakes) {
  const auto with = [](const std::string& name, const std::string& value) {
    auto wish = wish_called("a");
    wish.labels[name] = value;
    return check(wish);
  };
  EXPECT_TRUE(with("cache", "cold"));
  EXPECT_TRUE(with("_a9", ""));
  for (const char* name : {"", "vm", "experiment", "__a", "9a", "a-b", "a:b"})
    EXPECT_FALSE(with(name, "x")) << name;
  EXPECT_FALSE(with("a", std::string(257, 'x')));
  auto many = wish_called("a");
  for (char c = 'a'; c <= 'k'; ++c) many.labels[std::string(1, c)] = "x";
  EXPECT_FALSE(check(many));
}

}  // namespace
}  // namespace qemon::daemon
