// Which files a QEMU's code is in that may have probes, and which of them has which.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "daemon/process_info.hpp"
#include "usdt/probe_notes.hpp"

namespace qemon::daemon {

inline constexpr std::string_view usdt_provider = "qemu";

/// The program's file, also after it was replaced by another one.
[[nodiscard]] std::string program_of(pid_t pid);

/// Paths of QEMU's loadable modules in the text of a /proc/PID/maps, as the process sees them.
[[nodiscard]] std::vector<std::string> qemu_modules_in(std::string_view maps);

/// A file that is part of a running QEMU, as it can be opened from here.
struct ProbedFile {
  std::string path;
  usdt::ProbeSites sites;
};

/// The modules that are loaded now.
[[nodiscard]] std::vector<std::string> qemu_modules_of(pid_t pid);

/// The names of all probes of QEMU's in the process, each once.
[[nodiscard]] std::vector<std::string> probe_names(pid_t pid);

/// The program and those of its modules that have probes of QEMU's.
[[nodiscard]] Result<std::vector<ProbedFile>> find_probed_files(
    pid_t pid, const std::vector<std::string>& modules);

}  // namespace qemon::daemon
