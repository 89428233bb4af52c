// What is wrong with the files and packs that a configuration names.
#pragma once

#include <string>
#include <vector>

#include "daemon/config.hpp"
#include "exporters/pack_library.hpp"

namespace qemon::daemon {

/// The mistakes in the packs of --pack-dir, against the catalogs that are told or the installed
/// one, and packs that there are none of.
[[nodiscard]] std::vector<std::string> check_packs(const Config& config);

/// The same, and what is wrong with the other files that --check reads.
[[nodiscard]] std::vector<std::string> check_files(const Config& config);

/// The packs that the configuration switches on and that cannot be, a line each.
[[nodiscard]] std::vector<std::string> unusable_packs(const Config& config,
                                                      const exporters::PackLibrary& packs);

}  // namespace qemon::daemon
