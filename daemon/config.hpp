// What qemond is told to do: the command line and the configuration file, checked.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "daemon/budget_settings.hpp"
#include "daemon/followed_file.hpp"
#include "daemon/grafana_settings.hpp"
#include "daemon/lease_length.hpp"
#include "daemon/trace_backend.hpp"
#include "qmp/endpoint.hpp"

namespace qemon::daemon {

/// Of one collector, as far as it is told; see daemon/collector.hpp for the defaults.
struct CollectorSettings {
  std::optional<bool> on;
  std::optional<std::chrono::milliseconds> interval;
  std::optional<std::chrono::milliseconds> deadline;  ///< For each of its commands.

  bool operator==(const CollectorSettings&) const = default;
};

/// What can be told for one VM or for several.
struct VmSettings {
  std::string catalog;          ///< Path of its trace-events-all; empty to look for it.
  std::set<std::string> packs;  ///< To switch on.
  std::map<std::string, CollectorSettings> collectors;
  /// How often the run state is asked, by which a monitor that does not answer is noticed too.
  std::optional<std::chrono::milliseconds> poll_interval;
  BudgetSettings budget;                 ///< What its trace may cost.
  std::optional<BackendChoice> backend;  ///< Which of its trace backends is followed.

  bool operator==(const VmSettings&) const = default;
};

struct VmConfig {
  std::string name;        ///< The label `vm`; empty for the VM's own, else that of its socket.
  qmp::Endpoint endpoint;  ///< Of its monitor, if it is no file.
  std::optional<FollowedFile> file;  ///< For a VM without a monitor.
  VmSettings settings;

  /// As it was written: "unix:/run/vms/web1.qmp", "file:/tmp/trace.log,pid=123". Names the VM.
  [[nodiscard]] std::string address() const;
  bool operator==(const VmConfig&) const = default;
};

/// Sockets that appear and vanish; each is a VM.
struct DiscoveryRule {
  std::string sockets;  ///< A pattern of paths, as glob(7) describes it.
  qmp::Protocol protocol = qmp::Protocol::qmp;

  bool operator==(const DiscoveryRule&) const = default;
};

/// Settings for the VMs whose names match.
struct MatchingSettings {
  std::string pattern;  ///< With * and ?.
  VmSettings settings;
};

struct Config {
  std::string file;  ///< The configuration file; empty if there is none.
  std::vector<VmConfig> vms;
  std::vector<DiscoveryRule> discovery;
  std::vector<MatchingSettings> settings;
  std::string catalog;  ///< For VMs without one of their own.
  std::string listen;
  std::string runtime_directory;  ///< Holds trace files, and the control socket by default.
  std::string control_socket;
  std::vector<std::string> pack_folders;    ///< The user's, besides those that ship.
  std::vector<std::string> control_groups;  ///< See --control-group.
  std::vector<std::string> read_groups;     ///< See --read-group; everybody if empty.
  bool control_groups_given = false;        ///< An empty list of them is meant.
  std::string log_level;
  std::optional<std::uint64_t> trace_space_bytes;  ///< See --trace-space.
  std::optional<LeaseLength> lease;                ///< See --lease.
  GrafanaSettings grafana;
  bool check_only = false;
  std::vector<std::string> arguments;  ///< The command line.

  /// The settings of a VM of that name: what matches, in the order of the file, and then its own.
  [[nodiscard]] VmSettings settings_of(const std::string& name, const VmSettings& own) const;
};

/// Either a configuration to run with, or the status to exit with at once (0 after --help and
/// --version, 2 for mistakes, which were then all printed to standard error, a line each).
struct ParsedCommandLine {
  Config config;
  std::optional<int> exit_status;
};
[[nodiscard]] ParsedCommandLine parse_command_line(int argc, const char* const* argv);

/// The configuration as it is now, with the command line of `before`. All mistakes are returned, a
/// line each; then `config` is not to be used.
[[nodiscard]] std::vector<std::string> parse_again(const Config& before, Config& config);

/// $RUNTIME_DIRECTORY if a service manager has made one; else /run/qemond for root and
/// $XDG_RUNTIME_DIR/qemond for others; empty if there is none of them.
[[nodiscard]] std::string default_runtime_directory();

/// Names are label values, words on the command line and parts of file names, so they stay plain.
[[nodiscard]] bool is_valid_vm_name(std::string_view name);

/// "on", "off", or an interval such as "30s", which also means on, and behind a slash the deadline
/// of each command ("30s/2s"); nothing if it is none of them.
[[nodiscard]] std::optional<CollectorSettings> parse_collector_settings(std::string_view text);

/// 100 ms to a day; nothing if it is none.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_interval(std::string_view text);

/// Puts what an address says into `config`: that of a monitor, as qmp::parse_endpoint takes it, or
/// a file, as parse_followed_file does.
[[nodiscard]] Result<void> set_address(std::string_view text, VmConfig& config);

/// The name that a VM has by its address when it has no other: that of the socket or file without
/// its extension, or HOST:PORT.
[[nodiscard]] std::string name_by_address(const VmConfig& config);

}  // namespace qemon::daemon
