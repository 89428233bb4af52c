// The whole `qemon` command, in a form that tests can call.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

namespace qemon::cli {

/// What the command takes from its surroundings besides its arguments.
struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  std::function<bool(const std::string& path)> exists;
  uid_t uid = 0;
  bool err_is_terminal = false;
  bool out_is_terminal = false;
  std::size_t columns = 80;  ///< How wide standard output is.
};
[[nodiscard]] Environment process_environment();

/// Where the control socket is when there is no --socket: $QEMON_SOCKET; else the system's daemon,
/// if its socket is there or we are root; else a daemon of our own user in $XDG_RUNTIME_DIR.
[[nodiscard]] std::string default_socket(const Environment& environment);

/// Where the qemond is that the command is for keeps its files, if it is not told otherwise; empty
/// if that cannot be told.
[[nodiscard]] std::string default_runtime_directory(const Environment& environment);

/// Exit status of the process: 0 done, 1 failed, 2 wrong usage.
[[nodiscard]] int run(int argc, const char* const* argv, const Environment& environment,
                      std::ostream& out, std::ostream& err);

}  // namespace qemon::cli
