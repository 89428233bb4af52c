#include "usdt/probe_notes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/usdt/test_probes.hpp"

namespace qemon::usdt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Pair;

const std::string own_program = "/proc/self/exe";

TEST(ProbeNotes, TellHowManyPlacesHaveEachProbeOfAProvider) {
  test::foreign_probe();

  const auto probes = read_probes(own_program, "qemu");

  ASSERT_TRUE(probes) << probes.error().detail;
  EXPECT_THAT(*probes, IsSupersetOf({Pair("test_numbers", 2U), Pair("test_text", 1U)}));
  EXPECT_TRUE(has_probes(own_program, "qemu"));
  EXPECT_TRUE(has_probes(own_program, "other"));
  EXPECT_FALSE(has_probes(own_program, "nobody"));
}

TEST(ProbeNotes, AreNoneInAProgramThatWasBuiltWithoutThem) {
  const auto probes = read_probes("/bin/true", "qemu");

  ASSERT_TRUE(probes) << probes.error().detail;
  EXPECT_THAT(*probes, IsEmpty());
  EXPECT_FALSE(has_probes("/bin/true", "qemu"));
}

TEST(ProbeNotes, NameTheFileThatCannotBeRead) {
  const test::TempDir directory;
  const std::string path = directory / "program";

  const auto missing = read_probes(path, "qemu");
  test::write_file(
      path, "#!/bin/sh\nexec qemu-system-x86_64 \"$@\"\n# longer than the head of an ELF file");
  const auto script = read_probes(path, "qemu");
  test::write_file(path, "");
  const auto empty = read_probes(path, "qemu");

  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().detail, path + ": No such file or directory");
  ASSERT_FALSE(script);
  EXPECT_EQ(script.error().detail, path + ": it is no 64-bit ELF file of this host's kind");
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().detail, path + ": it is cut short");
  EXPECT_FALSE(has_probes(path, "qemu"));
}

/// Whatever a byte of the head or of the section headers becomes, the answer is one or an error.
TEST(ProbeNotes, SurviveAnyDamageToTheHead) {
  const test::TempDir directory;
  const std::string path = directory / "program";
  const auto sound = test::read_file(own_program);
  constexpr std::size_t head_bytes = 64;

  for (std::size_t at = 0; at < head_bytes; ++at) {
    for (const char value : {'\0', '\x7f', '\xff'}) {
      auto damaged = sound.substr(0, head_bytes) + sound.substr(sound.size() - 8192);
      damaged[at] = value;
      test::write_file(path, damaged);
      const auto probes = read_probes(path, "qemu");
      EXPECT_TRUE(!probes || probes->empty());
    }
  }
}

TEST(ProbeNotes, SurviveAFileThatIsCutShortAnywhere) {
  const test::TempDir directory;
  const std::string path = directory / "program";
  const auto sound = test::read_file(own_program);

  for (std::size_t part = 1; part <= 16; ++part) {
    test::write_file(path, std::string_view(sound).substr(0, sound.size() / 17 * part));
    const auto probes = read_probes(path, "qemu");
    ASSERT_FALSE(probes);
    EXPECT_THAT(probes.error().detail, HasSubstr("it is cut short"));
  }
}

}  // namespace
}  // namespace qemon::usdt
