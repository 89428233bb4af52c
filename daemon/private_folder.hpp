// PrivateFolder: a folder of small files that only its user reads, written whole or not at all.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qemon::daemon {

/// Files are written under another name and then renamed, so that a reader finds the old one or the
/// new one. Nothing is forced onto a disk. Symbolic links and files of other users are refused, in
/// the folder's place and in it. Held open by its owner; used by one thread.
class PrivateFolder {
 public:
  enum class Open : std::uint8_t {
    make,      ///< There is to be one, of our own user: it is made if there is none.
    existing,  ///< The code of the Error is no_such_file_or_directory if there is none. Root may
               ///< use that of another user.
  };
  /// An Error names what is in the way.
  [[nodiscard]] static Result<PrivateFolder> open(const std::string& path, Open how);

  /// The names in it that end in `suffix` and do not begin with a dot, sorted.
  [[nodiscard]] Result<std::vector<std::string>> names(std::string_view suffix) const;
  /// An Error if it is longer than `bytes_max`; it tells why, without the name.
  [[nodiscard]] Result<std::string> read(const std::string& name, std::size_t bytes_max) const;
  [[nodiscard]] Result<void> write(const std::string& name, std::string_view text) const;
  /// No error if there is none.
  [[nodiscard]] Result<void> remove(const std::string& name) const;

  [[nodiscard]] const std::string& path() const { return path_; }
  /// To be locked, for instance.
  [[nodiscard]] int fd() const { return directory_.get(); }

 private:
  PrivateFolder(std::string path, UniqueFd directory, uid_t owner);

  std::string path_;
  UniqueFd directory_;
  uid_t owner_;  // Of the folder, and of every file in it.
};

}  // namespace qemon::daemon
