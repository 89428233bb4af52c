// TraceFile: a file of ours that QEMU writes its trace into, and whose consumed part is given back
// to the file system.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qemon::trace {

/// `vm_name` with everything replaced that has a meaning for the file system, the shell, or QEMU (a
/// `%d` in a log file's name becomes the process id, and the monitor splits at blanks); shortened
/// if it is long.
[[nodiscard]] std::string file_name(std::string_view vm_name);

/// Made new, with a name that no other file has; removed by the destructor unless keep() was
/// called. Open for reading and writing: giving ranges back needs that. Only QEMU writes to it.
class TraceFile {
 public:
  /// Makes a file in `directory` whose name begins with `vm_name`, as far as that can be part of a
  /// file name. Mode 0600.
  [[nodiscard]] static Result<TraceFile> create(const std::string& directory,
                                                std::string_view vm_name);
  TraceFile(TraceFile&& other) noexcept = default;
  TraceFile& operator=(TraceFile&& other) noexcept;
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  ~TraceFile();

  /// Lets one other user read and write the file (no longer the user of an earlier call): by an
  /// access control list, or by giving the file away where there are none and the process may. The
  /// user also needs to search the directories above.
  [[nodiscard]] Result<void> allow(uid_t user);

  /// Gives back what lies before `offset`, of which every byte was read. In steps of 64 KiB or more
  /// (smaller ones free almost nothing, measured), and never the last block before `offset`, by
  /// which FileTail knows its place. QEMU appends at its own position and does not notice. Returns
  /// how many bytes were given back, often 0. An `offset` smaller than the last one means that QEMU
  /// truncated the file.
  [[nodiscard]] Result<std::uint64_t> release_consumed(std::uint64_t offset);
  /// The stream began anew: what was given back is filled again.
  void restart() { released_ = 0; }
  /// False once the file system turned out not to support holes: release_consumed() then does
  /// nothing, and the file grows.
  [[nodiscard]] bool holes_supported() const { return holes_supported_; }
  /// What the file occupies.
  [[nodiscard]] Result<std::uint64_t> allocated_bytes() const;

  [[nodiscard]] int fd() const { return file_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Leaves the file where it is when this object goes.
  void keep() { remove_ = false; }

 private:
  TraceFile(UniqueFd directory, UniqueFd file, std::string path, std::string name);
  void remove() noexcept;

  UniqueFd directory_;
  UniqueFd file_;
  std::string path_;
  std::string name_;  ///< Within directory_.
  std::uint64_t block_ = 4096;
  std::uint64_t released_ = 0;  ///< Everything before this was given back.
  bool holes_supported_ = true;
  bool remove_ = true;
};

}  // namespace qemon::trace
