// Where an ExecutionProfile comes from: a finished trace, the TCG plugin's file, or a VM.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/control_client.hpp"
#include "cli/execution_profile.hpp"

namespace qemon::cli {

/// What could be read. It is shown though something went wrong afterwards.
struct ReadProfile {
  ExecutionProfile profile;
  std::vector<std::string> notes;  ///< What a person should know, a line each.
  std::optional<Error> problem;
};

/// `path`: of a trace or a log, plain or gzip, `-` for standard input, or of a file of
/// libqemon-plugin.so. `terminal`: for the progress; nullptr for none. An Error, which names the
/// file, if nothing can be shown.
[[nodiscard]] Result<ReadProfile> profile_of_file(const std::string& path, std::uint64_t page_bytes,
                                                  std::ostream* terminal);

/// Of a VM that qemond watches: the blocks that its TCG plugin counts, else what the packs tcg
/// and exec-log have.
[[nodiscard]] Result<ReadProfile> profile_of_vm(const ControlClient& client, const std::string& vm,
                                                std::uint64_t page_bytes);

}  // namespace qemon::cli
