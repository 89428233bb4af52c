#include "exporters/pack_library.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/exporters/pack_run.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::exporters {
namespace {

using test::pack_text;

using Lines = std::vector<std::string>;

std::string counter(std::string_view metric, std::string_view event = "e") {
  return "  - {counter: " + std::string(metric) + ", help: A., events: " + std::string(event) +
         "}\n";
}

class PackLibraryTest : public testing::Test {
 protected:
  PackLibraryTest() {
    std::filesystem::create_directory(shipped());
    std::filesystem::create_directory(own());
  }

  [[nodiscard]] std::string shipped() const { return dir_ / "shipped"; }
  [[nodiscard]] std::string own() const { return dir_ / "own"; }
  void ship(std::string_view file, std::string_view text) const {
    test::write_file(shipped() + "/" + std::string(file), text);
  }
  void write(std::string_view file, std::string_view text) const {
    test::write_file(own() + "/" + std::string(file), text);
  }
  Lines load() { return library_.load(shipped(), {own()}); }
  [[nodiscard]] std::string names() const {
    std::string all;
    for (const auto& [name, pack] : library_.packs()) all += name + " ";
    return all;
  }

  test::TempDir dir_;
  PackLibrary library_;
};

TEST_F(PackLibraryTest, LoadsThePacksOfEveryFolder) {
  ship("a.yaml", pack_text(counter("a_total"), "alpha"));
  write("b.yaml", pack_text(counter("b_total"), "beta"));

  EXPECT_EQ(load(), Lines{});

  EXPECT_EQ(names(), "alpha beta ");
  EXPECT_EQ(library_.find("beta")->file, own() + "/b.yaml");
  EXPECT_EQ(library_.find("gamma"), nullptr);
}

TEST_F(PackLibraryTest, TakesOnlyYamlFiles) {
  write("a.yaml", pack_text(counter("a_total"), "alpha"));
  write("b.yml", pack_text(counter("b_total"), "beta"));
  for (const auto* other : {"c.yaml~", ".d.yaml", "e.yaml.swp", "README.md", "yaml"})
    write(other, "not a pack");

  EXPECT_EQ(load(), Lines{});

  EXPECT_EQ(names(), "alpha beta ");
}

TEST_F(PackLibraryTest, ALaterFoldersPackReplacesOneOfTheSameName) {
  ship("disk.yaml", pack_text(counter("a_total"), "disk"));
  write("mine.yaml", pack_text(counter("b_total"), "disk"));

  EXPECT_EQ(load(), Lines{});

  EXPECT_EQ(names(), "disk ");
  EXPECT_EQ(library_.find("disk")->rules.front().metric, "b_total");
}

TEST_F(PackLibraryTest, TwoPacksOfOneNameInOneFolderAreAMistake) {
  write("a.yaml", pack_text(counter("a_total"), "disk"));
  write("b.yaml", pack_text(counter("b_total"), "disk"));

  EXPECT_EQ(
      load(),
      Lines{own() + "/b.yaml: pack: disk is the name of another pack in this folder as well"});
}

TEST_F(PackLibraryTest, MistakesKeepThePacksAsTheyWere) {
  write("a.yaml", pack_text(counter("a_total"), "alpha"));
  EXPECT_EQ(load(), Lines{});
  const auto before = library_.find("alpha");

  write("a.yaml", pack_text(counter("a_total") + counter("b_total"), "alpha"));
  write("b.yaml", pack_text(counter("b"), "beta"));
  const auto mistakes = load();

  EXPECT_EQ(mistakes, Lines{own() + "/b.yaml:5: counter: b: the name of a counter ends in _total"});
  EXPECT_EQ(names(), "alpha ");
  EXPECT_EQ(library_.find("alpha"), before);
}

TEST_F(PackLibraryTest, TellsTheMistakesOfAllFiles) {
  write("a.yaml", "");
  write("b.yaml", "[]");

  EXPECT_EQ(load(), (Lines{own() + "/a.yaml: is empty",
                           own() + "/b.yaml:1: is no pack: it begins with version: 1 and pack: "
                                   "NAME"}));
}

TEST_F(PackLibraryTest, AnUnchangedPackStaysTheSame) {
  write("a.yaml", pack_text(counter("a_total"), "alpha"));
  write("b.yaml", pack_text(counter("b_total"), "beta"));
  EXPECT_EQ(load(), Lines{});
  const auto alpha = library_.find("alpha"), beta = library_.find("beta");

  write("b.yaml", pack_text(counter("b_total", "f"), "beta"));
  EXPECT_EQ(load(), Lines{});

  EXPECT_EQ(library_.find("alpha"), alpha);
  EXPECT_NE(library_.find("beta"), beta);
}

TEST_F(PackLibraryTest, APackWhoseFileIsGoneIsGone) {
  write("a.yaml", pack_text(counter("a_total"), "alpha"));
  EXPECT_EQ(load(), Lines{});
  const auto held = library_.find("alpha");

  std::filesystem::remove(own() + "/a.yaml");
  EXPECT_EQ(load(), Lines{});

  EXPECT_EQ(names(), "");
  EXPECT_EQ(held->name, "alpha");
}

TEST_F(PackLibraryTest, TwoPacksMayFeedOneMetricFromDifferentEvents) {
  write("a.yaml", pack_text(counter("a_total", "e"), "alpha"));
  write("b.yaml", pack_text(counter("a_total", "f"), "beta"));

  EXPECT_EQ(load(), Lines{});
}

TEST_F(PackLibraryTest, TwoPacksMustNotCountOneEventTwice) {
  write("a.yaml", pack_text(counter("a_total", "[d, e]"), "alpha"));
  write("b.yaml", pack_text(counter("a_total", "[[x, e]]"), "beta"));

  EXPECT_EQ(load(),
            Lines{own() + "/b.yaml:5: a_total: pack alpha (" + own() +
                  "/a.yaml:5) makes it as well, of the same event e, which would be counted "
                  "twice"});
}

TEST_F(PackLibraryTest, TwoPacksMustAgreeOnAMetric) {
  write("a.yaml", pack_text(counter("a_total", "e"), "alpha"));
  write("b.yaml",
        pack_text("  - {counter: a_total, help: A., events: f, labels: {x: y}}\n", "beta"));

  EXPECT_EQ(load(), Lines{own() + "/b.yaml:5: a_total: pack alpha (" + own() +
                          "/a.yaml:5) makes it as well, in another form: give this one a name of "
                          "its own"});
}

TEST_F(PackLibraryTest, TheFolderThatShipsMayBeMissingAndOthersMustNot) {
  EXPECT_EQ(library_.load(dir_ / "nowhere", {own()}), Lines{});
  EXPECT_EQ(library_.load("", {}), Lines{});
  EXPECT_EQ(library_.load(shipped(), {dir_ / "nowhere"}),
            Lines{"--pack-dir " + (dir_ / "nowhere") +
                  ": No such file or directory: make it, or name another folder"});
}

TEST_F(PackLibraryTest, AFifoDoesNotHang) {
  ASSERT_EQ(::mkfifo((own() + "/x.yaml").c_str(), 0600), 0);

  EXPECT_EQ(load(), Lines{own() + "/x.yaml: cannot be read: is no regular file"});
}

TEST_F(PackLibraryTest, AFolderIsNoFile) {
  std::filesystem::create_directory(own() + "/x.yaml");

  EXPECT_EQ(load(), Lines{own() + "/x.yaml: cannot be read: is no regular file"});
}

TEST_F(PackLibraryTest, AFileThatCannotBeReadIsAMistake) {
  if (::geteuid() == 0) GTEST_SKIP() << "root can read everything";
  write("x.yaml", pack_text(counter("a_total")));
  std::filesystem::permissions(own() + "/x.yaml", std::filesystem::perms::none);

  EXPECT_EQ(load(), Lines{own() + "/x.yaml: cannot be read: Permission denied"});
}

TEST_F(PackLibraryTest, ALinkThatLeadsNowhereIsAMistake) {
  std::filesystem::create_symlink("nowhere", own() + "/x.yaml");

  EXPECT_EQ(load(), Lines{own() + "/x.yaml: cannot be read: No such file or directory"});
}

TEST_F(PackLibraryTest, AFileThatIsTooLargeIsAMistake) {
  write("x.yaml", std::string(1024 * 1024 + 1, '#'));

  EXPECT_EQ(load(), Lines{own() + "/x.yaml: cannot be read: is larger than 1 MiB"});
}

TEST_F(PackLibraryTest, AddsOneMoreFile) {
  ship("a.yaml", pack_text(counter("a_total"), "alpha"));
  EXPECT_EQ(load(), Lines{});
  const std::string file = dir_ / "x";
  test::write_file(file, pack_text(counter("b_total"), "beta"));

  const auto name = library_.add_file(file);

  ASSERT_TRUE(name);
  EXPECT_EQ(*name, "beta");
  EXPECT_EQ(names(), "alpha beta ");
}

TEST_F(PackLibraryTest, AddsNoFileWithMistakes) {
  ship("a.yaml", pack_text(counter("a_total"), "alpha"));
  EXPECT_EQ(load(), Lines{});
  const std::string file = dir_ / "x";
  test::write_file(file, pack_text(counter("a_total"), "beta"));

  EXPECT_EQ(library_.add_file(file).error().detail,
            file + ":5: a_total: pack alpha (" + shipped() +
                "/a.yaml:5) makes it as well, of the same event e, which would be counted twice");
  EXPECT_EQ(library_.add_file(dir_ / "y").error().detail,
            (dir_ / "y") + ": cannot be read: No such file or directory");
  EXPECT_EQ(names(), "alpha ");
}

TEST_F(PackLibraryTest, SaysWhichPacksThereAre) {
  EXPECT_EQ(library_.no_such_pack("disk"), "there is no pack disk: there is none");
  write("a.yaml", pack_text(counter("a_total"), "virtio-blk"));
  write("b.yaml", pack_text(counter("b_total"), "irq"));
  EXPECT_EQ(load(), Lines{});

  EXPECT_EQ(library_.no_such_pack("virtio-blck"),
            "there is no pack virtio-blck: did you mean virtio-blk?");
  EXPECT_EQ(library_.no_such_pack("disk"), "there is no pack disk: there is irq, virtio-blk");
}

TEST_F(PackLibraryTest, LoadsThePacksThatShip) {
  EXPECT_EQ(library_.load(QEMON_TEST_DATA "/../../packs", {}), Lines{});
}

}  // namespace
}  // namespace qemon::exporters
