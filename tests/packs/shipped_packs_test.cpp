// The packs that ship, against the trace events of the QEMUs under test, and their documentation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "exporters/pack_check.hpp"
#include "exporters/pack_library.hpp"
#include "tests/packs/catalogs.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using exporters::PackLibrary;

TEST(ShippedPacks, HaveNoMistakeAndAgreeWithEachOther) {
  PackLibrary library;

  EXPECT_THAT(library.load(QEMON_SHIPPED_PACKS, {}), testing::IsEmpty());
  EXPECT_GE(library.packs().size(), 16U);
}

TEST(ShippedPacks, FitEveryQemuUnderTest) {
  const auto old_catalog = catalog_of("7.2");
  const auto new_catalog = catalog_of("10.0");
  if (!old_catalog || !new_catalog)
    GTEST_SKIP() << "there are no QEMUs 7.2 and 10.0 among those under test";
  const auto catalogs = exporters::load_catalogs({*old_catalog, *new_catalog});
  ASSERT_TRUE(catalogs) << catalogs.error().detail;
  PackLibrary library;
  ASSERT_THAT(library.load(QEMON_SHIPPED_PACKS, {}), testing::IsEmpty());

  for (const auto& [name, pack] : library.packs())
    EXPECT_THAT(exporters::check_pack(*pack, *catalogs).mistakes.lines(), testing::IsEmpty())
        << name;
}

TEST(ShippedPacks, AreCalledLikeTheirFiles) {
  PackLibrary library;
  ASSERT_THAT(library.load(QEMON_SHIPPED_PACKS, {}), testing::IsEmpty());

  for (const auto& [name, pack] : library.packs())
    EXPECT_EQ(std::filesystem::path(pack->file).stem(), name);
}

TEST(ShippedPacks, AreDocumentedMetricByMetric) {
  PackLibrary library;
  ASSERT_THAT(library.load(QEMON_SHIPPED_PACKS, {}), testing::IsEmpty());
  const auto reference = read_file(std::string(QEMON_SHIPPED_PACKS) + "/../docs/metrics.md");

  for (const auto& [name, pack] : library.packs()) {
    EXPECT_THAT(reference, testing::HasSubstr("### `" + name + "`"));
    for (const auto* rule : pack->metrics())
      EXPECT_THAT(reference, testing::HasSubstr("`" + rule->metric)) << name;
  }
}

}  // namespace
}  // namespace qemon::test
