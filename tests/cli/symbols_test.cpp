#include "cli/symbols.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

extern "C" const char __executable_start;  // NOLINT: the linker calls it so.

namespace qemon::cli {

/// In the program that runs this test, whose own symbols are looked up.
[[gnu::noinline]] int function_of_known_name(int number) {
  return number + 1;
}

namespace {

using testing::HasSubstr;

/// Where a function of this program is while it runs.
std::uint64_t address_of_function() {
  return reinterpret_cast<std::uint64_t>(&function_of_known_name);  // NOLINT
}

std::string this_program() {
  return "/proc/self/exe@" +
         hexadecimal(reinterpret_cast<std::uint64_t>(&__executable_start));  // NOLINT
}

std::string why_not(const std::string& file) {
  const auto added = Symbols().add(file);
  return added ? "" : added.error().detail;
}

TEST(Symbols, NamesFunctionsAsTheyWereWritten) {
  Symbols symbols;

  const auto added = symbols.add(this_program());

  ASSERT_TRUE(added) << added.error().detail;
  EXPECT_EQ(symbols.find(address_of_function()), "qemon::cli::function_of_known_name(int)");
  EXPECT_EQ(symbols.find(address_of_function() + 1), "qemon::cli::function_of_known_name(int)+0x1");
  EXPECT_EQ(symbols.find(0x10), std::nullopt);
}

TEST(Symbols, AFileIsWhereItSaysIfNoAddressIsGiven) {
  Symbols symbols;
  const auto start = reinterpret_cast<std::uint64_t>(&__executable_start);  // NOLINT

  ASSERT_TRUE(symbols.add("/proc/self/exe"));
  const auto found = symbols.find(address_of_function() - start);

  EXPECT_EQ(found, "qemon::cli::function_of_known_name(int)");
}

TEST(Symbols, OfTwoFilesTheFirstThatKnowsTells) {
  Symbols symbols;
  ASSERT_TRUE(symbols.add("/proc/self/exe@0x100000000000"));
  ASSERT_TRUE(symbols.add(this_program()));

  EXPECT_EQ(symbols.find_in(0, address_of_function()), std::nullopt);
  EXPECT_EQ(symbols.find(address_of_function()), "qemon::cli::function_of_known_name(int)");
  EXPECT_THAT(symbols.names(), testing::SizeIs(2));
}

TEST(Symbols, WhatIsNoElfFileIsRefused) {
  const test::TempDir dir;
  test::write_file(dir / "note", "mine\n");
  test::write_file(dir / "cut",
                   "\x7f"
                   "ELF\x02");

  for (const char* const name : {"note", "cut"})
    EXPECT_EQ(why_not(dir / name),
              dir / name +
                  ": is not an ELF file: give the guest's program or vmlinux, not a "
                  "compressed image");
  EXPECT_EQ(why_not(dir / "none"), dir / "none" + ": No such file or directory");
  EXPECT_EQ(why_not(dir.path().string()),
            dir.path().string() + ": is not a regular file: give the guest's program or vmlinux");
  EXPECT_EQ(why_not("/dev/null"),
            "/dev/null: is not a regular file: give the guest's program or vmlinux");
}

TEST(Symbols, AnAtWithoutANumberBelongsToTheName) {
  EXPECT_THAT(why_not("/nowhere/a@b"), HasSubstr("/nowhere/a@b: No such file"));
  EXPECT_THAT(why_not("/nowhere/a@0xnumber"), HasSubstr("/nowhere/a@0xnumber: No such file"));
  EXPECT_THAT(why_not("/nowhere/a@0x12"), HasSubstr("/nowhere/a: No such file"));
}

}  // namespace
}  // namespace qemon::cli
