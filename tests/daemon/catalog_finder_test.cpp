#include "daemon/catalog_finder.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.hpp"

namespace qemon::daemon {
namespace {

const std::vector<std::string> names{"one", "two"};

std::string write_catalog(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
  return path.string();
}

ProcessInfo process_with_exe(const std::string& exe) {
  ProcessInfo process;
  process.exe = exe;
  return process;
}

TEST(CatalogFinder, FindsTheFileBesideTheBinary) {
  const test::TempDir directory;
  const auto root = std::filesystem::path(directory.path());
  const auto path =
      write_catalog(root / "share/qemu/trace-events-all", "one(void) \"\"\ntwo(void) \"\"\n");
  CatalogFinder finder;

  const auto found =
      finder.find("", process_with_exe((root / "bin/qemu-system-x86_64").string()), names);

  EXPECT_EQ(found.path, path);
  EXPECT_EQ(found.problem, "");
  ASSERT_TRUE(found.catalog);
  EXPECT_NE(found.catalog->find("one"), nullptr);
}

TEST(CatalogFinder, PrefersTheFileThatKnowsAllEvents) {
  const test::TempDir directory;
  const auto root = std::filesystem::path(directory.path());
  write_catalog(root / "bin/trace/trace-events-all", "one(void) \"\"\n");
  const auto fitting =
      write_catalog(root / "share/qemu/trace-events-all", "one(void) \"\"\ntwo(void) \"\"\n");
  CatalogFinder finder;

  const auto found = finder.find("", process_with_exe((root / "bin/qemu").string()), names);

  EXPECT_EQ(found.path, fitting);
}

TEST(CatalogFinder, SaysThatAGivenFileIsOfAnotherQemu) {
  const test::TempDir directory;
  const auto path =
      write_catalog(std::filesystem::path(directory.path()) / "events", "one(void) \"\"\n");
  CatalogFinder finder;

  const auto found = finder.find(path, std::nullopt, names);

  EXPECT_FALSE(found.catalog);
  EXPECT_EQ(found.problem,
            path +
                " is of another QEMU: it lacks 1 of 2 events (for instance two); "
                "events are counted by name only: give the file with --trace-events [NAME=]FILE");
}

TEST(CatalogFinder, SaysThatAGivenFileIsMissing) {
  CatalogFinder finder;

  const auto found = finder.find("/does/not/exist", std::nullopt, names);

  EXPECT_FALSE(found.catalog);
  EXPECT_EQ(found.problem,
            "/does/not/exist: No such file or directory; "
            "events are counted by name only: give the file with --trace-events [NAME=]FILE");
}

TEST(CatalogFinder, DoesNotTrustAnyFileWhenTheBinaryWasReplaced) {
  const test::TempDir directory;
  const auto root = std::filesystem::path(directory.path());
  write_catalog(root / "share/qemu/trace-events-all", "one(void) \"\"\ntwo(void) \"\"\n");
  auto process = process_with_exe((root / "bin/qemu").string());
  process.exe_deleted = true;
  CatalogFinder finder;

  const auto found = finder.find("", process, names);

  EXPECT_FALSE(found.catalog);
  EXPECT_NE(found.problem.find("was replaced while it runs"), std::string::npos) << found.problem;
}

TEST(CatalogFinder, KeepsOneCopyOfAFileUntilItChanges) {
  const test::TempDir directory;
  const auto path = write_catalog(std::filesystem::path(directory.path()) / "events",
                                  "one(void) \"\"\ntwo(void) \"\"\n");
  CatalogFinder finder;
  const auto first = finder.find(path, std::nullopt, names);

  EXPECT_EQ(finder.find(path, std::nullopt, names).catalog, first.catalog);
  write_catalog(path, "one(void) \"\"\ntwo(void) \"\"\nthree(void) \"\"\n");

  EXPECT_NE(finder.find(path, std::nullopt, names).catalog->find("three"), nullptr);
}

}  // namespace
}  // namespace qemon::daemon
