#include "trace/catalog_places.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qemon::trace {
namespace {

using testing::ElementsAre;

TEST(CatalogPlaces, AreThoseOfDistributionsWithoutAProgram) {
  EXPECT_THAT(catalog_places(), ElementsAre("/usr/share/qemu/trace-events-all",
                                            "/usr/share/qemu-kvm/trace-events-all",
                                            "/usr/local/share/qemu/trace-events-all"));
}

TEST(CatalogPlaces, BeginNearTheProgramAndAreToldOnce) {
  EXPECT_THAT(
      catalog_places("/opt/qemu/bin/qemu-system-x86_64"),
      ElementsAre("/opt/qemu/bin/trace/trace-events-all", "/opt/qemu/share/qemu/trace-events-all",
                  "/opt/qemu/share/qemu-kvm/trace-events-all", "/usr/share/qemu/trace-events-all",
                  "/usr/share/qemu-kvm/trace-events-all",
                  "/usr/local/share/qemu/trace-events-all"));
  EXPECT_THAT(catalog_places("/usr/libexec/qemu-kvm"),
              ElementsAre("/usr/libexec/trace/trace-events-all", "/usr/share/qemu/trace-events-all",
                          "/usr/share/qemu-kvm/trace-events-all",
                          "/usr/local/share/qemu/trace-events-all"));
}

}  // namespace
}  // namespace qemon::trace
