// The grammar of one line of a trace-events-all file; used by Catalog only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "trace/catalog.hpp"

namespace qemon::trace {

/// Parses `[PROPERTIES] NAME(ARGUMENTS) ["FORMAT"]`, without blanks around it. One event, but two
/// for a line with the property `tcg` (QEMU 6.2 and older). Follows scripts/tracetool/__init__.py.
[[nodiscard]] Result<std::vector<CatalogEvent>> parse_catalog_line(std::string_view line);

/// A part of the file made fit for a message: short, printable, in quotes.
[[nodiscard]] std::string excerpt(std::string_view text);

}  // namespace qemon::trace
