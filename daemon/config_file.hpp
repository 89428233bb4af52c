// The configuration file of qemond; docs/configuration.md describes it.
#pragma once

#include <string>

#include "daemon/config.hpp"
#include "exporters/mistakes.hpp"

namespace qemon::daemon {

/// Where the configuration is looked for when neither --config nor --vm is given.
inline constexpr const char* default_config_file = "/etc/qemon/qemond.yaml";

/// Adds what the file at `path` says to `config`. Every mistake is told with its line.
void read_config_file(const std::string& path, Config& config, exporters::Mistakes& mistakes);

/// A size such as 64MiB or 1000000, in bytes; nothing if it is none.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace qemon::daemon
