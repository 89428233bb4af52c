// Checks a pack against the trace events of one or several QEMUs.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "exporters/mistakes.hpp"
#include "exporters/pack.hpp"
#include "trace/catalog.hpp"

namespace qemon::exporters {

/// A catalog, and what messages call it.
struct NamedCatalog {
  std::string name;
  std::shared_ptr<const trace::Catalog> catalog;
};

struct PackCheck {
  Mistakes mistakes;
  /// Rules that a catalog has no events for, although another catalog, or another rule of the
  /// metric, has: nothing is wrong with them. A line each.
  std::vector<std::string> notes;
};

/// An event must be in one of the catalogs, and every rule must fit each catalog that has its
/// events. A pack for logs of -d exec is checked against the events that its decoder makes instead.
[[nodiscard]] PackCheck check_pack(const Pack& pack, std::span<const NamedCatalog> catalogs);

/// The files at `paths`; without any, the one that is installed on this machine. An Error if one
/// cannot be read, or none is found.
[[nodiscard]] Result<std::vector<NamedCatalog>> load_catalogs(
    const std::vector<std::string>& paths);

/// Parses and checks the file of a pack.
[[nodiscard]] PackCheck check_pack_file(const std::string& path,
                                        std::span<const NamedCatalog> catalogs);

}  // namespace qemon::exporters
