#include "daemon/journal.hpp"

#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
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

Journal::Journal(PrivateFolder folder) : folder_(std::move(folder)) {
  const auto text = folder_.read(lease_id_file, file_bytes_max);
  if (text) std::from_chars(text->data(), text->data() + text->size(), last_lease_id_);
}

Result<Journal> Journal::open(const std::string& runtime_directory) {
  return open_folder(runtime_directory, PrivateFolder::Open::make);
}

Result<Journal> Journal::open_left(const std::string& runtime_directory) {
  return open_folder(runtime_directory, PrivateFolder::Open::existing);
}

Result<Journal> Journal::open_folder(const std::string& runtime_directory,
                                     PrivateFolder::Open how) {
  auto folder = PrivateFolder::open(runtime_directory + "/journal", how);
  if (!folder) return folder.error();
  if (auto locked = lock(folder->fd(), folder->path()); !locked) return locked.error();
  return Journal(std::move(*folder));
}

Journal::Contents Journal::read() {
  Contents contents;
  const auto names = folder_.names(suffix);
  if (!names) {
    contents.refused.push_back(names.error().detail);
    return contents;
  }
  for (const auto& name : *names) {
    const auto refuse = [&](const std::string& why) {
      contents.refused.push_back(path() + "/" + name + ": " + why);
    };
    const auto text = folder_.read(name, file_bytes_max);
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
  return folder_.write(journal_file_name(entry.address), to_text(entry));
}

Result<void> Journal::remove(const std::string& address) {
  return folder_.remove(journal_file_name(address));
}

std::uint64_t Journal::next_lease_id() {
  ++last_lease_id_;
  // If it cannot be written, an id may come again after a crash: a nuisance, no more.
  std::ignore = folder_.write(lease_id_file, std::to_string(last_lease_id_) + "\n");
  return last_lease_id_;
}

}  // namespace qemon::daemon
