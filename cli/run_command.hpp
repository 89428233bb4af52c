// run_command: runs a program of the user's in the foreground, as a shell would.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace qemon::cli {

/// Runs `words` with our standard input, output and error, and returns its exit status: 128 and the
/// number of the signal if one ended it. SIGINT, SIGTERM, SIGHUP and SIGQUIT do not end us
/// meanwhile; they are passed on to it, unless the terminal has sent them to both. An Error if it
/// cannot be run, with the operating system's code.
///
/// `every` is called each `interval` until it has ended.
[[nodiscard]] Result<int> run_command(const std::vector<std::string>& words,
                                      std::chrono::milliseconds interval,
                                      const std::function<void()>& every);

}  // namespace qemon::cli
