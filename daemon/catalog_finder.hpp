// Finds the trace-events-all file that belongs to a running QEMU.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/process_info.hpp"
#include "trace/catalog.hpp"

namespace qemon::daemon {

/// The catalog that was chosen, or why there is none.
struct FoundCatalog {
  /// Shared by the finder (one copy per file) and by the VMs that use it; nullptr if none fits.
  std::shared_ptr<const trace::Catalog> catalog;
  std::string path;
  /// Why events are counted by name only, or what is doubtful about the catalog; empty if all is
  /// well.
  std::string problem;
};

/// Loads catalogs and keeps them, one copy per file. Owned by the daemon; used by all VMs.
class CatalogFinder {
 public:
  /// Looks at `configured` alone if it is not empty, else where distributions and build trees have
  /// the file. A catalog fits if it knows every event in `names` (what this QEMU says that it has):
  /// a catalog of another version does not.
  [[nodiscard]] FoundCatalog find(const std::string& configured,
                                  const std::optional<ProcessInfo>& process,
                                  std::span<const std::string> names);

 private:
  struct Loaded {
    std::int64_t modified_ns = 0;
    std::int64_t size = 0;
    std::shared_ptr<const trace::Catalog> catalog;
  };
  Result<std::shared_ptr<const trace::Catalog>> load(const std::string& path);

  std::map<std::string, Loaded> loaded_;
};

/// Where to look, best guess first, without duplicates.
[[nodiscard]] std::vector<std::string> catalog_paths(const std::optional<ProcessInfo>& process);

}  // namespace qemon::daemon
