#include "cli/progress.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace qemon::cli {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;

TEST(Progress, TellsPartAmountAndRate) {
  EXPECT_EQ(progress_line(300 * mib, 1200 * mib, 2), "25%, 300.0 MiB of 1.2 GiB, 150.0 MiB/s");
}

TEST(Progress, TellsNoPartOfWhatHasNoKnownSize) {
  EXPECT_EQ(progress_line(300 * mib, std::nullopt, 2), "300.0 MiB, 150.0 MiB/s");
  EXPECT_EQ(progress_line(0, 0, 0), "0 B of 0 B");
}

TEST(Progress, NeverTellsMoreThanAll) {
  EXPECT_EQ(progress_line(3 * mib, 2 * mib, 1), "100%, 3.0 MiB of 2.0 MiB, 3.0 MiB/s");
}

TEST(Progress, WritesNothingForWhatIsSoonDone) {
  std::ostringstream terminal;
  {
    Progress progress(&terminal, 100);
    progress.show(50);
    progress.show(100);
  }
  EXPECT_EQ(terminal.str(), "");
}

TEST(Progress, WritesNothingWithoutATerminal) {
  Progress progress(nullptr, 100);

  progress.show(50);
  progress.wipe();
}

}  // namespace
}  // namespace qemon::cli
