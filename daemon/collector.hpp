// Collector: figures that a VM's monitor or its process tells without any trace event on.
#pragma once

#include <prometheus/metric_family.h>

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/journal_entry.hpp"
#include "daemon/process_info.hpp"
#include "qmp/client.hpp"
#include "qmp/identity.hpp"

namespace qemon::daemon {

/// What a collector found: families whose samples lack the label `vm`, which is added at the
/// scrape. A figure that is not known is left out, and so is a family without samples.
using Figures = std::vector<prometheus::MetricFamily>;

/// What a collector may use during one poll. Everything outlives the poll.
struct CollectorView {
  qmp::Client* client;  ///< nullptr for a VM without a monitor, see Collector::needs_monitor.
  const qmp::Identity& identity;
  const std::optional<ProcessInfo>& process;  ///< Absent if it cannot be seen from here.
  const std::string& plugin_path;  ///< Of what its TCG plugin publishes; empty if it has none.
  const std::set<std::string>& commands;  ///< The QMP commands that this QEMU has.
  std::uint64_t session = 0;              ///< Differs for each monitor session.
  std::chrono::milliseconds deadline{0};  ///< For each command.
  /// What collectors switched on in this QEMU, in this session or one before, and have not undone.
  JournaledCollecting& changed;
  /// Writes the journal: to be called between a change of `changed` and the command that makes it
  /// true, which is not to be sent after an Error.
  const std::function<Result<void>()>& write_journal;
};

/// Owned by a Vm, one of each kind, and kept over sessions. Polled by the VM's session, one at a
/// time.
struct Collector {
  std::string name;  ///< The label `collector`, and what the configuration calls it.
  std::chrono::milliseconds interval{0};  ///< Default time between two polls.
  bool on_by_default = true;
  std::vector<std::string> needs;  ///< QMP commands without which it is not for this VM.
  bool needs_monitor = true;       ///< Asks QEMU, so a VM without a monitor has it not.
  bool needs_process = false;      ///< Reads /proc, so QEMU must be visible from here.
  /// Asks and returns everything anew. A refusal by QEMU that means "not here" (no balloon device,
  /// another accelerator) is no Error but figures without it. An Error ends this poll: the
  /// session's end, an answer that does not come, or one that makes no sense.
  std::function<boost::asio::awaitable<Result<Figures>>(CollectorView)> poll;
  /// Undoes what poll switched on in QEMU, also in a session before or the life of another qemond,
  /// and asks nothing if there is nothing. To be called when the collector is switched off or the
  /// VM is let go while its session still works; empty if poll switches nothing on. The next poll
  /// begins anew.
  std::function<boost::asio::awaitable<Result<void>>(CollectorView)> finish;
};

/// "there is no collector x: did you mean y?"; empty if there is one of that name.
[[nodiscard]] std::string unknown_collector(const std::string& name);

/// One of each kind, for one VM.
[[nodiscard]] std::vector<Collector> make_collectors();

}  // namespace qemon::daemon
