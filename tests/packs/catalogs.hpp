// The trace-events-all files of the QEMUs that the recordings come from.
#pragma once

#include <optional>
#include <string>

#include "tests/support/qemu.hpp"

namespace qemon::test {

/// That of a QEMU of this version ("7.2", "10.0") among those under test, if there is one.
inline std::optional<std::string> catalog_of(std::string version) {
  for (char& each : version)
    if (each == '.') each = '_';
  for (const auto& build : qemu_builds()) {
    if (build.label.ends_with(version) && !build.catalog.empty()) return build.catalog;
  }
  return std::nullopt;
}

}  // namespace qemon::test
