// Journal: what qemon changed in the VMs, kept in the runtime directory so that it can be put back
// after a crash.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/journal_entry.hpp"
#include "daemon/private_folder.hpp"

namespace qemon::daemon {

/// RUNTIME-DIRECTORY/journal: one small file for each VM that something of ours is in. VMs do not
/// outlive the host, so nothing is forced onto a disk. Locked while it is open: one qemond, or one
/// `qemon restore`, at a time.
class Journal {
 public:
  /// For qemond: makes the folder if there is none. An Error names what is in the way.
  [[nodiscard]] static Result<Journal> open(const std::string& runtime_directory);
  /// For `qemon restore`: the code of the Error is no_such_file_or_directory if there is none, so
  /// that there is nothing to put back. Root may read that of the user whom qemond runs as.
  [[nodiscard]] static Result<Journal> open_left(const std::string& runtime_directory);

  struct Contents {
    std::vector<JournalEntry> entries;
    std::vector<std::string> refused;  ///< A line each, with the file's path and why.
  };
  /// Everything that is in it; next_lease_id() keeps clear of its leases.
  [[nodiscard]] Contents read();

  [[nodiscard]] Result<void> write(const JournalEntry& entry);
  /// No error if there is none.
  [[nodiscard]] Result<void> remove(const std::string& address);

  /// A number that no lease had before, while the runtime directory lives.
  [[nodiscard]] std::uint64_t next_lease_id();

  [[nodiscard]] const std::string& path() const { return folder_.path(); }

 private:
  explicit Journal(PrivateFolder folder);
  static Result<Journal> open_folder(const std::string& runtime_directory, PrivateFolder::Open how);

  PrivateFolder folder_;
  std::uint64_t last_lease_id_ = 0;
};

/// The name of the file about the VM with that monitor.
[[nodiscard]] std::string journal_file_name(const std::string& address);

}  // namespace qemon::daemon
