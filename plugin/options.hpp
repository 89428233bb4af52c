// What is behind `-plugin libqemon-plugin.so,`.
#pragma once

#include <cstdint>

#include "plugin/shared_figures.hpp"

namespace qemon::plugin {

struct Options {
  const char* path = nullptr;              ///< Of the file that is published.
  std::uint32_t level = level_count;       ///< Bits of Level.
  std::uint64_t block_capacity = 1 << 17;  ///< Room for so many blocks, 32 bytes each.
};

/// Each argument is KEY=VALUE, as QEMU passes them on: `path=FILE` (required, absolute),
/// `level=count|memory|blocks|all`, `blocks=N` (1024 to 1048576). Says on standard error what is
/// wrong, and returns false.
[[nodiscard]] bool read_options(int argc, char** argv, Options& options);

}  // namespace qemon::plugin
