// What qemond is told to do: the command line, checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "qmp/endpoint.hpp"

namespace qemon::daemon {

struct VmConfig {
  std::string name;  ///< The label `vm`.
  qmp::Endpoint endpoint;
  std::string catalog;  ///< Path of its trace-events-all; empty to look for it.
};

struct Config {
  std::vector<VmConfig> vms;
  std::string listen = "127.0.0.1:9749";
  std::string runtime_directory;  ///< Holds trace files, and the control socket by default.
  std::string control_socket;
  std::vector<std::string> pack_folders;  ///< The user's, besides those that ship.
  std::string log_level = "info";
  std::uint64_t trace_space_bytes = 1ULL << 30;  ///< See --trace-space.
  bool check_only = false;
};

/// Either a configuration to run with, or the status to exit with at once (0 after --help and
/// --version, 2 for mistakes, which were then all printed to standard error, a line each).
struct ParsedCommandLine {
  Config config;
  std::optional<int> exit_status;
};
[[nodiscard]] ParsedCommandLine parse_command_line(int argc, const char* const* argv);

/// /run/qemond for root, else $XDG_RUNTIME_DIR/qemond; empty if there is neither.
[[nodiscard]] std::string default_runtime_directory();

}  // namespace qemon::daemon
