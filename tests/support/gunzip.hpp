// gunzip: what gzip data holds, for tests.
#pragma once

#include <string>
#include <string_view>

namespace qemon::test {

/// Throws std::runtime_error unless it is one whole member of gzip and nothing else.
std::string gunzip(std::string_view compressed);

}  // namespace qemon::test
