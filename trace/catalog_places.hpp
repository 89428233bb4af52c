// Where the trace-events-all file of a QEMU may be.
#pragma once

#include <string>
#include <vector>

namespace qemon::trace {

/// Where build trees and distributions have the file, best guess first, without duplicates.
/// `program`: the path of the QEMU's binary; empty if it is not known, which leaves the places of
/// distributions.
[[nodiscard]] std::vector<std::string> catalog_places(const std::string& program = {});

}  // namespace qemon::trace
