// Reading a file as a whole.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.hpp"

namespace qemon {

/// The content of a regular file of at most `bytes_max`, so that neither a FIFO nor a device nor a
/// file that grows holds us up. The Error does not name the file, and has a code if the operating
/// system refused.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

}  // namespace qemon
