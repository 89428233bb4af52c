// The catalogs that tests run over: the excerpt that ships, this machine's, and those of
// QEMON_TEST_CATALOGS.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace qemon::test {

/// Paths of whole trace-events-all files: the installed one, if there is one, and the
/// colon-separated list in the environment variable QEMON_TEST_CATALOGS.
inline std::vector<std::string> whole_catalogs() {
  std::vector<std::string> paths;
  const std::string installed = "/usr/share/qemu/trace-events-all";
  if (std::filesystem::exists(installed)) paths.push_back(installed);
  if (const char* listed = std::getenv("QEMON_TEST_CATALOGS"); listed != nullptr) {
    std::istringstream list(listed);
    for (std::string path; std::getline(list, path, ':');) {
      if (!path.empty()) paths.push_back(path);
    }
  }
  return paths;
}

/// The excerpt of QEMU 7.2's file in tests/data.
inline std::string catalog_excerpt() {
  return QEMON_TEST_DATA "/catalog-7.2-excerpt.txt";
}

}  // namespace qemon::test
