// JournalEntry: what qemon changed in one VM's tracing, as the journal keeps it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/sampling.hpp"
#include "daemon/boot_clock.hpp"

namespace qemon::daemon {

struct JournaledLease {
  std::uint64_t id = 0;
  std::vector<std::string> patterns;
  std::string pack;  ///< Instead of patterns.
  std::string user;
  std::optional<uid_t> uid;  ///< Absent for the configuration.
  BootClock::time_point since;
  std::optional<BootClock::time_point> until;  ///< Absent: until it is ended.
  std::optional<Sampling> sampling;
  std::vector<std::string> events;

  bool operator==(const JournaledLease&) const = default;
};

/// The QEMU that was changed: for good, since a process id alone is used again.
struct JournaledProcess {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;

  bool operator==(const JournaledProcess&) const = default;
};

/// An event that was too much, and is off until it is asked for again.
struct JournaledTrip {
  std::string event;
  std::string why;

  bool operator==(const JournaledTrip&) const = default;
};

/// What is needed to put the trace's destination back.
struct JournaledTrace {
  bool log_away = false;         ///< The log is not where it was, or is about to be led away.
  std::string log_restore;       ///< What HMP `logfile` takes to put it back.
  bool trace_file_ours = false;  ///< The file of `simple` is one of ours, or is about to be.
  std::string trace_file;        ///< The name that it had before us.

  [[nodiscard]] bool any() const { return log_away || trace_file_ours; }
  bool operator==(const JournaledTrace&) const = default;
};

/// What the TCG plugin of a QEMU was told to count (plugin::Level).
struct JournaledPluginLevel {
  std::string path;  ///< Of the file that it publishes in.
  std::uint32_t found = 0;
  std::uint32_t wanted = 0;
  std::optional<BootClock::time_point> until;  ///< Absent: until it is put back by hand.

  bool operator==(const JournaledPluginLevel&) const = default;
};

/// What collectors switched on in a QEMU.
struct JournaledCollecting {
  /// The devices that were given latency histograms, as block-latency-histogram-set takes them.
  std::set<std::string> latency_histograms;
  bool sync_profile = false;  ///< Or is about to be on.
  std::optional<JournaledPluginLevel> plugin_level;

  [[nodiscard]] bool any() const {
    return sync_profile || !latency_histograms.empty() || plugin_level;
  }
  bool operator==(const JournaledCollecting&) const = default;
};

struct JournalEntry {
  std::string address;               ///< Of the monitor, as qmp::to_string writes it.
  std::string vm;                    ///< The name it had.
  std::string boot;                  ///< See boot_id(): nothing of another boot is there any more.
  bool attached_by_command = false;  ///< No configuration names it.
  std::optional<JournaledProcess> process;
  std::vector<pid_t> threads;   ///< As QEMU tells them, which names a process that cannot be seen.
  std::vector<std::string> on;  ///< Events that we switched on.
  std::vector<std::string> about_to_be_on;  ///< Those that may be on already.
  std::vector<std::string> off_by_others;   ///< Leased, but somebody else switched them off.
  std::vector<JournaledTrip> tripped;       ///< Leased, but too much.
  JournaledTrace trace;
  JournaledCollecting collecting;
  std::vector<JournaledLease> leases;

  /// Something of ours is in QEMU.
  [[nodiscard]] bool changed_qemu() const {
    return !on.empty() || !about_to_be_on.empty() || trace.any() || collecting.any();
  }
  /// There is a reason to keep the entry.
  [[nodiscard]] bool needed() const {
    return changed_qemu() || !leases.empty() || attached_by_command;
  }
  bool operator==(const JournalEntry&) const = default;
};

[[nodiscard]] std::string to_text(const JournalEntry& entry);
/// An Error says what is wrong with it, for a line that begins with the file's name.
[[nodiscard]] Result<JournalEntry> parse_journal_entry(std::string_view text);

}  // namespace qemon::daemon
