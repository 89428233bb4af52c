// Putting a QEMU's tracing back as it was found, from what the journal says or a session knows.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/journal_entry.hpp"
#include "qmp/client.hpp"

namespace qemon::daemon {

/// Leads the log back to `restore`. The text says why the log is nowhere instead; empty if all is
/// well.
boost::asio::awaitable<Result<std::string>> put_log_back(qmp::Client& client, std::string restore);

/// Ends the writing of `simple`'s file and gives it back the name that it had. An Error also if
/// QEMU refuses to end it.
boost::asio::awaitable<Result<void>> put_trace_file_back(qmp::Client& client, std::string name);

/// True for a file right in the folder: what a QEMU says is not to lead us elsewhere.
[[nodiscard]] bool is_right_in(const std::string& path, const std::string& folder);

/// What became of one VM.
struct PutBack {
  std::vector<std::string> switched_off;
  std::string note;   ///< What could not be put back exactly, although nothing of ours is left.
  std::string error;  ///< Why something of ours is still there.
  bool gone = false;  ///< That QEMU is no more, and with it all that was changed in it.
};

/// Does what `entry` calls for over a monitor session of its own, without any qemond. Nothing is
/// done to another QEMU that has taken the place of the one that was changed.
boost::asio::awaitable<PutBack> put_back(JournalEntry entry, std::string trace_directory);

/// False if that process ended, or the host was started anew since.
[[nodiscard]] bool may_be_alive(const JournalEntry& entry);

}  // namespace qemon::daemon
