#include "daemon/journal.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

namespace qemon::daemon {
namespace {

// All 4,246 events of a QEMU, named three times, are half a megabyte.
constexpr std::size_t file_bytes_max = 16UL << 20;
constexpr std::string_view suffix = ".json";
constexpr const char* lease_id_file = "last-lease-id";
// A `qemon restore` that is at work is done soon; another qemond never is.
constexpr std::chrono::seconds lock_patience{2};

Result<void> lock(int directory, const std::string& path) {
  const auto deadline = std::chrono::steady_clock::now() + lock_patience;
  while (::flock(directory, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return system_error(errno, path);
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{path +
                       ": a qemond or a qemon restore is using it: stop that, or choose another "
                       "--runtime-dir",
                   std::make_error_code(std::errc::device_or_resource_busy)};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return Result<void>();
}

}  // namespace

std::string journal_file_name(const std::string& address) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a.
  for (const char byte : address) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  std::string name;
  for (int shift = 60; shift >= 0; shift -= 4) name += "0123456789abcdef"[(hash >> shift) & 0xfU];
  return name + std::string(suffix);
}

Journal::Journal(std::string path, UniqueFd directory, uid_t owner)
    : path_(std::move(path)), directory_(std::move(directory)), owner_(owner) {
  const auto text = read_file(lease_id_file);
  if (text) std::from_chars(text->data(), text->data() + text->size(), last_lease_id_);
}

Result<Journal> Journal::open(const std::string& runtime_directory) {
  return open_directory(runtime_directory, true);
}

Result<Journal> Journal::open_left(const std::string& runtime_directory) {
  return open_directory(runtime_directory, false);
}

Result<Journal> Journal::open_directory(const std::string& runtime_directory, bool make) {
  const auto path = runtime_directory + "/journal";
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
  if (auto locked = lock(directory.get(), path); !locked) return locked.error();
  return Journal(path, std::move(directory), about.st_uid);
}

Journal::Contents Journal::read() {
  Contents contents;
  // A descriptor of its own, since closedir() closes it.
  const int copy = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> files(copy >= 0 ? ::fdopendir(copy) : nullptr,
                                                  ::closedir);
  if (!files) {
    contents.refused.push_back(system_error(errno, path_).detail);
    return contents;
  }
  std::vector<std::string> names;
  while (const auto* file = ::readdir(files.get())) {
    std::string name(file->d_name);
    if (name.ends_with(suffix) && !name.starts_with('.')) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  for (const auto& name : names) {
    const auto refuse = [&](const std::string& why) {
      contents.refused.push_back(path_ + "/" + name + ": " + why);
    };
    const auto text = read_file(name);
    if (!text) {
      refuse(text.error().detail);
      continue;
    }
    auto entry = parse_journal_entry(*text);
    if (!entry) {
      refuse(entry.error().detail);
    } else if (journal_file_name(entry->address) != name) {
      refuse("is about " + entry->address + ", which belongs elsewhere");
    } else {
      for (const auto& lease : entry->leases) last_lease_id_ = std::max(last_lease_id_, lease.id);
      contents.entries.push_back(std::move(*entry));
    }
  }
  return contents;
}

Result<void> Journal::write(const JournalEntry& entry) {
  return write_file(journal_file_name(entry.address), to_text(entry));
}

Result<void> Journal::remove(const std::string& address) {
  const auto name = journal_file_name(address);
  if (::unlinkat(directory_.get(), name.c_str(), 0) != 0 && errno != ENOENT)
    return system_error(errno, path_ + "/" + name);
  return Result<void>();
}

std::uint64_t Journal::next_lease_id() {
  ++last_lease_id_;
  // If it cannot be written, an id may come again after a crash: a nuisance, no more.
  std::ignore = write_file(lease_id_file, std::to_string(last_lease_id_) + "\n");
  return last_lease_id_;
}

Result<std::string> Journal::read_file(const std::string& name) const {
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
    if (text.size() > file_bytes_max) return Error{"is too long to be a journal of qemond"};
  }
}

Result<void> Journal::write_file(const std::string& name, const std::string& text) const {
  const auto temporary = "." + name;
  // Left by one that was killed in here.
  ::unlinkat(directory_.get(), temporary.c_str(), 0);
  const UniqueFd file(::openat(directory_.get(), temporary.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const auto path = path_ + "/" + name;
  if (!file) return system_error(errno, path);
  for (std::string_view left = text; !left.empty();) {
    const auto size = ::write(file.get(), left.data(), left.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return system_error(errno, path);
    left.remove_prefix(static_cast<std::size_t>(size));
  }
  if (::renameat(directory_.get(), temporary.c_str(), directory_.get(), name.c_str()) != 0)
    return system_error(errno, path);
  return Result<void>();
}

}  // namespace qemon::daemon
