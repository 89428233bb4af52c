// The file that the plugin publishes in, made and mapped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "plugin/options.hpp"
#include "plugin/shared_figures.hpp"

namespace qemon::plugin {

struct FiguresFile {
  Header* header = nullptr;
  Vcpu* vcpus = nullptr;
  Block* blocks = nullptr;
  std::size_t bytes = 0;
};

/// Makes the file anew, mode 0660 less the umask, all of its room taken, with `about` at its
/// beginning; it is at its path once it is whole. What was there goes if it is such a file and no
/// other QEMU's; anything else is left alone. Says on standard error what is wrong, and returns
/// false. No descriptor stays open, which a program in a user-mode QEMU would see: the mapping
/// holds the lock by which others know that QEMU lives.
[[nodiscard]] bool make_figures_file(const Options& options, const Header& about,
                                     std::uint32_t vcpu_slots, FiguresFile& file);

/// In a child process: from now on the same addresses are memory that nobody else sees.
void make_private(const FiguresFile& file);

}  // namespace qemon::plugin
