#include "daemon/private_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <utility>

namespace qemon::daemon {

PrivateFolder::PrivateFolder(std::string path, UniqueFd directory, uid_t owner)
    : path_(std::move(path)), directory_(std::move(directory)), owner_(owner) {}

Result<PrivateFolder> PrivateFolder::open(const std::string& path, Open how) {
  const bool make = how == Open::make;
  if (make && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return system_error(errno, path + ": cannot be made");
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory && (errno == ELOOP || errno == ENOTDIR))
    return Error{path + ": is a symbolic link or no folder: remove it"};
  if (!directory) return system_error(errno, path);
  struct stat about {};
  if (::fstat(directory.get(), &about) != 0) return system_error(errno, path);
  if (about.st_uid != ::geteuid() && (make || ::geteuid() != 0))
    return Error{path + ": belongs to user " + std::to_string(about.st_uid) +
                 ": remove it, or choose another --runtime-dir"};
  if ((about.st_mode & 0077) != 0 && ::fchmod(directory.get(), 0700) != 0)
    return system_error(errno, path);
  return PrivateFolder(path, std::move(directory), about.st_uid);
}

Result<std::vector<std::string>> PrivateFolder::names(std::string_view suffix) const {
  // A descriptor of its own, since closedir() closes it.
  const int copy = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> files(copy >= 0 ? ::fdopendir(copy) : nullptr,
                                                  ::closedir);
  if (!files) return system_error(errno, path_);
  std::vector<std::string> names;
  while (const auto* file = ::readdir(files.get())) {
    std::string name(file->d_name);
    if (name.ends_with(suffix) && !name.starts_with('.')) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> PrivateFolder::remove(const std::string& name) const {
  if (::unlinkat(directory_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
    return system_error(errno, path_ + "/" + name);
  return Result<void>();
}

Result<std::string> PrivateFolder::read(const std::string& name, std::size_t bytes_max) const {
  const UniqueFd file(
      ::openat(directory_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file && errno == ELOOP) return Error{"is a symbolic link"};
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0) {
    const std::error_code code(errno, std::generic_category());
    return Error{"cannot be read: " + code.message(), code};
  }
  if (!S_ISREG(about.st_mode)) return Error{"is no file"};
  if (about.st_uid != owner_) return Error{"belongs to user " + std::to_string(about.st_uid)};
  std::string text;
  std::array<char, 16384> piece{};
  for (;;) {
    const auto size = ::read(file.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Error{"cannot be read: " + std::generic_category().message(errno)};
    if (size == 0) return {boost::system::in_place_value, std::move(text)};
    text.append(piece.data(), static_cast<std::size_t>(size));
    if (text.size() > bytes_max) return Error{"is too long to be a file of qemond"};
  }
}

Result<void> PrivateFolder::write(const std::string& name, std::string_view text) const {
  const auto temporary = "." + name;
  // Left by one that was killed in here.
  ::unlinkat(directory_.get(), temporary.c_str(), 0);
  const UniqueFd file(::openat(directory_.get(), temporary.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const auto path = path_ + "/" + name;
  if (!file) return system_error(errno, path);
  const auto failed = [&] {
    auto error = system_error(errno, path);
    ::unlinkat(directory_.get(), temporary.c_str(), 0);
    return error;
  };
  for (std::string_view left = text; !left.empty();) {
    const auto size = ::write(file.get(), left.data(), left.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed();
    left.remove_prefix(static_cast<std::size_t>(size));
  }
  if (::renameat(directory_.get(), temporary.c_str(), directory_.get(), name.c_str()) != 0)
    return failed();
  return Result<void>();
}

}  // namespace qemon::daemon
