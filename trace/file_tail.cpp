#include "trace/file_tail.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace qemon::trace {

namespace {

/// How much of a prefix of NUL bytes one read() passes over.
constexpr std::size_t nuls_per_read = 4 * 1024 * 1024;

bool same(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/// `number` is an errno value; the cure is told where there is one.
Error failed(const std::string& path, int number, const char* what) {
  Error error = system_error(number, path + ": cannot " + what);
  if (number == EACCES)
    error.detail += "; allow this process's user to read the file and to search its directories";
  return error;
}

/// Empty for a regular file; otherwise what is wrong with following it.
std::string unsuitable(mode_t mode) {
  if (S_ISREG(mode)) return {};
  if (S_ISDIR(mode)) return "is a directory; name the trace file in it";
  if (S_ISFIFO(mode))
    return "is a FIFO, and a slow reader of a FIFO stalls the guest; let QEMU write to a regular "
           "file";
  return "is not a regular file; let QEMU write to a regular file";
}

Result<void> check_suitable(const std::string& path, const struct stat& status) {
  if (const std::string problem = unsuitable(status.st_mode); !problem.empty())
    return Error{path + ": " + problem, std::make_error_code(std::errc::invalid_argument)};
  return {};
}

bool is_missing(int number) {
  return number == ENOENT || number == ENOTDIR;
}

/// A read that goes on after signals; -1 with errno set on failure.
ssize_t read_at(int fd, std::span<const iovec> parts, std::uint64_t offset) {
  ssize_t count = 0;
  do {
    count = ::preadv(fd, parts.data(), static_cast<int>(parts.size()), static_cast<off_t>(offset));
  } while (count < 0 && errno == EINTR);
  return count;
}

}  // namespace

FileTail::FileTail(std::string path, FileTailOptions options)
    : path_(std::move(path)), options_(options), has_path_(true) {}

FileTail::FileTail(UniqueFd file, std::string name, FileTailOptions options)
    : path_(std::move(name)), options_(options), has_path_(false), file_(std::move(file)) {}

Result<FileTail::Chunk> FileTail::read(std::span<char> into) {
  if (first_ || !file_) {
    const auto opened = open();
    if (!opened) return opened.error();
    if (!*opened) return Chunk{};
  }
  if (const auto looked = look(); !looked) return looked.error();
  if (announced_ && !into.empty()) {
    const auto count = read_bytes(into);
    if (!count) return count.error();
    if (*count > 0) return Chunk{*count, false};
  }
  if (announced_ && has_path_ && offset_ >= size_) {
    if (const auto replaced = replace(); !replaced) return replaced.error();
  }
  // Not announced: just opened, or one of the calls above found a new stream.
  if (!announced_) {
    const auto found = find_start();
    if (!found) return found.error();
    if (*found) {
      announced_ = true;
      stream_start_ = offset_;
      return Chunk{0, true};
    }
    // A file that has had no content yet can be replaced as well.
    if (has_path_) {
      if (const auto replaced = replace(); !replaced) return replaced.error();
    }
  }
  return Chunk{};
}

/// False if there is no file at the path.
Result<bool> FileTail::open() {
  if (has_path_) {
    struct stat status {};
    // Looked at first: opening a device or a tape can have effects.
    if (::stat(path_.c_str(), &status) != 0) {
      if (!is_missing(errno)) return failed(path_, errno, "look at it");
      first_ = false;
      return false;
    }
    if (auto suitable = check_suitable(path_, status); !suitable) return suitable.error();
    UniqueFd file(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (!file) {
      if (!is_missing(errno)) return failed(path_, errno, "open it");
      first_ = false;
      return false;
    }
    if (auto adopted = adopt(std::move(file)); !adopted) return adopted.error();
  } else if (auto adopted = adopt(std::move(file_)); !adopted) {
    return adopted.error();
  }
  first_ = false;
  return true;
}

/// Makes `file` the one that is read, from its beginning or, if it is the first and so configured,
/// from its end.
Result<void> FileTail::adopt(UniqueFd file) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    const int number = errno;
    if (!has_path_) file_ = std::move(file);
    return failed(path_, number, "look at it");
  }
  auto suitable = check_suitable(path_, status);
  if (suitable || !has_path_) file_ = std::move(file);
  if (!suitable) return suitable;
  device_ = status.st_dev;
  inode_ = status.st_ino;
  changed_ = status.st_ctim;
  size_ = static_cast<std::uint64_t>(status.st_size);
  start_over();
  if (!first_ || options_.start == FileTailOptions::Start::beginning) return {};
  std::array<char, fingerprint_max> bytes{};
  const std::size_t wanted = std::min<std::uint64_t>(size_, bytes.size());
  const std::array<iovec, 1> parts{{{bytes.data(), wanted}}};
  const ssize_t count = read_at(file_.get(), parts, size_ - wanted);
  if (count < 0) return failed(path_, errno, "read it");
  // Shorter only if it was truncated just now, which look() will see.
  offset_ = stream_start_ = size_;
  if (static_cast<std::size_t>(count) == wanted) remember({bytes.data(), wanted});
  return {};
}

/// Takes the file's size, and starts over if it was truncated. (What read_bytes compares itself is
/// not compared here.)
Result<void> FileTail::look() {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) return failed(path_, errno, "look at it");
  size_ = static_cast<std::uint64_t>(status.st_size);
  const bool changed = !same(changed_, status.st_ctim);
  bool truncated = size_ < offset_;
  if (!truncated && changed && (size_ == offset_ || !announced_)) {
    const auto there = still_there();
    if (!there) return there.error();
    truncated = !*there;
  }
  changed_ = status.st_ctim;
  if (truncated) {
    ++truncations_;
    start_over();
  }
  return {};
}

/// Whether the bytes before offset_ are still those that were read.
Result<bool> FileTail::still_there() const {
  std::array<char, fingerprint_max> bytes{};
  const std::array<iovec, 1> parts{{{bytes.data(), fingerprint_size_}}};
  const ssize_t count = read_at(file_.get(), parts, offset_ - fingerprint_size_);
  if (count < 0) return failed(path_, errno, "read it");
  return static_cast<std::size_t>(count) == fingerprint_size_ &&
         std::memcmp(bytes.data(), fingerprint_.data(), fingerprint_size_) == 0;
}

/// Moves offset_ over a hole (and, in text, over NUL bytes) at the beginning of the stream. False
/// if there is nothing else yet.
Result<bool> FileTail::find_start() {
  if (size_ <= offset_) return false;
  const off_t data = ::lseek(file_.get(), static_cast<off_t>(offset_), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return false;  // A hole up to the end.
  if (data > static_cast<off_t>(offset_)) {
    offset_ = static_cast<std::uint64_t>(data);
    fingerprint_size_ = 0;
  }
  // Other errors: a file system that cannot tell holes has none worth skipping.
  if (options_.text) return skip_nuls();
  return true;
}

/// A hole ends at a block border, and some file systems fill it with real NUL bytes.
Result<bool> FileTail::skip_nuls() {
  std::array<char, 65536> bytes{};
  for (std::size_t passed = 0; passed < nuls_per_read;) {
    const std::array<iovec, 1> parts{{{bytes.data(), bytes.size()}}};
    const ssize_t count = read_at(file_.get(), parts, offset_);
    if (count < 0) return failed(path_, errno, "read it");
    if (count == 0) return false;
    const char* const end = bytes.data() + count;
    const char* const text =
        std::find_if(std::as_const(bytes).data(), end, [](char c) { return c != '\0'; });
    const auto nuls = static_cast<std::size_t>(text - bytes.data());
    offset_ += nuls;
    passed += nuls;
    if (nuls > 0) fingerprint_size_ = 0;
    if (text != end) return true;
  }
  return false;
}

/// Reads the bytes before offset_ again together with those after it, so that a truncation cannot
/// slip in between.
Result<std::size_t> FileTail::read_bytes(std::span<char> into) {
  if (size_ <= offset_) return std::size_t{0};
  std::array<char, fingerprint_max> before{};
  const std::array<iovec, 2> parts{
      {{before.data(), fingerprint_size_}, {into.data(), into.size()}}};
  const ssize_t result = read_at(file_.get(), parts, offset_ - fingerprint_size_);
  if (result < 0) return failed(path_, errno, "read it");
  const auto count = static_cast<std::size_t>(result);
  if (count < fingerprint_size_ ||
      std::memcmp(before.data(), fingerprint_.data(), fingerprint_size_) != 0) {
    ++truncations_;
    start_over();
    return std::size_t{0};
  }
  const auto bytes = into.first(count - fingerprint_size_);
  offset_ += bytes.size();
  size_ = std::max(size_, offset_);
  if (!bytes.empty()) saw_successor_ = false;
  remember(bytes);
  return bytes.size();
}

/// Goes over to another file at the path, if there is one with content and the present one has been
/// quiet since. True if so.
Result<bool> FileTail::replace() {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) {
    saw_successor_ = false;
    if (is_missing(errno)) return false;
    return failed(path_, errno, "look at it");
  }
  // A rotation makes the new file before the writer is told to use it, if it is told at all.
  if ((status.st_dev == device_ && status.st_ino == inode_) ||
      (S_ISREG(status.st_mode) && status.st_size == 0)) {
    saw_successor_ = false;
    return false;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!saw_successor_) {
    // Always another look at the old file first: its last bytes may have come between that look and
    // this one.
    saw_successor_ = true;
    successor_since_ = now;
    return false;
  }
  if (now - successor_since_ < options_.quiet) return false;
  if (auto suitable = check_suitable(path_, status); !suitable) return suitable.error();
  UniqueFd file(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!file) {
    if (is_missing(errno)) return false;
    return failed(path_, errno, "open it");
  }
  if (auto adopted = adopt(std::move(file)); !adopted) return adopted.error();
  ++replacements_;
  return true;
}

void FileTail::start_over() {
  offset_ = 0;
  stream_start_ = 0;
  fingerprint_size_ = 0;
  announced_ = false;
  saw_successor_ = false;
}

void FileTail::remember(std::span<const char> bytes) {
  const auto last = bytes.last(std::min(bytes.size(), fingerprint_max));
  const std::size_t kept = std::min(fingerprint_size_, fingerprint_max - last.size());
  std::memmove(fingerprint_.data(), fingerprint_.data() + (fingerprint_size_ - kept), kept);
  std::copy(last.begin(), last.end(), fingerprint_.begin() + static_cast<std::ptrdiff_t>(kept));
  fingerprint_size_ = kept + last.size();
}

}  // namespace qemon::trace
