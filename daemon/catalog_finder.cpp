#include "daemon/catalog_finder.hpp"

#include <sys/stat.h>

#include <cerrno>

#include "trace/catalog_places.hpp"

namespace qemon::daemon {
namespace {

std::string without_catalog() {
  return "events are counted by name only: give the file with --trace-events [NAME=]FILE";
}

std::size_t count_missing(const trace::Catalog& catalog, std::span<const std::string> names,
                          std::string& example) {
  std::size_t missing = 0;
  for (const auto& name : names) {
    if (catalog.find(name) != nullptr) continue;
    if (missing++ == 0) example = name;
  }
  return missing;
}

/// What is wrong with `catalog` for a QEMU that has the events `names`; empty if it fits.
std::string misfit(const trace::Catalog& catalog, const std::string& path,
                   std::span<const std::string> names) {
  std::string example;
  const auto missing = count_missing(catalog, names, example);
  if (missing == 0) return {};
  return path + " is of another QEMU: it lacks " + std::to_string(missing) + " of " +
         std::to_string(names.size()) + " events (for instance " + example + ")";
}

}  // namespace

std::vector<std::string> catalog_paths(const std::optional<ProcessInfo>& process) {
  return trace::catalog_places(process ? process->exe : std::string());
}

FoundCatalog CatalogFinder::find(const std::string& configured,
                                 const std::optional<ProcessInfo>& process,
                                 std::span<const std::string> names) {
  FoundCatalog found;
  if (process && process->exe_deleted && configured.empty()) {
    found.problem = "QEMU's binary " + process->exe +
                    " was replaced while it runs, so the installed catalog may not fit; " +
                    without_catalog();
    return found;
  }
  std::string doubts;
  for (const auto& path : configured.empty() ? catalog_paths(process) : std::vector{configured}) {
    auto loaded = load(path);
    if (!loaded) {
      if (!configured.empty()) doubts = loaded.error().detail;
      continue;
    }
    auto problem = misfit(**loaded, path, names);
    if (problem.empty()) {
      found.catalog = *loaded;
      found.path = path;
      if (!found.catalog->problems().empty()) {
        found.problem = path + ": " + found.catalog->problems().front();
      }
      return found;
    }
    if (doubts.empty()) doubts = std::move(problem);
  }
  if (doubts.empty()) doubts = "no trace-events-all of this QEMU found";
  found.problem = doubts + "; " + without_catalog();
  return found;
}

Result<std::shared_ptr<const trace::Catalog>> CatalogFinder::load(const std::string& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return system_error(errno, path);
  const std::int64_t modified_ns =
      std::int64_t{about.st_mtim.tv_sec} * 1'000'000'000 + about.st_mtim.tv_nsec;
  const auto before = loaded_.find(path);
  if (before != loaded_.end() && before->second.modified_ns == modified_ns &&
      before->second.size == about.st_size) {
    return before->second.catalog;
  }
  auto catalog = trace::Catalog::load(path);
  if (!catalog) return catalog.error();
  // Binaries come and go, at paths with their versions.
  std::erase_if(loaded_, [](const auto& entry) { return entry.second.catalog.use_count() == 1; });
  auto& known = loaded_[path];
  known.modified_ns = modified_ns;
  known.size = about.st_size;
  known.catalog = std::make_shared<const trace::Catalog>(std::move(*catalog));
  return known.catalog;
}

}  // namespace qemon::daemon
