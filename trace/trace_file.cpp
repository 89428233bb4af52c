#include "trace/trace_file.hpp"

#include <fcntl.h>
#include <sys/acl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <type_traits>
#include <utility>

namespace qemon::trace {

namespace {

constexpr std::uint64_t release_bytes_min = 64 * 1024;
/// With this many random digits a second attempt is already unheard of.
constexpr int name_attempts = 10;
constexpr std::size_t name_bytes_max = 64;

struct FreeAcl {
  void operator()(void* acl) const { ::acl_free(acl); }
};
using Acl = std::unique_ptr<std::remove_pointer_t<acl_t>, FreeAcl>;

/// Empty if the kernel has no random numbers (yet).
std::string random_digits() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != static_cast<ssize_t>(sizeof number)) return {};
  std::string digits;
  for (int i = 0; i < 12; ++i, number >>= 4U) digits += "0123456789abcdef"[number & 0xfU];
  return digits;
}

/// Gives the file an access control list: the owner and `user` may read and write, nobody else. 0
/// or an errno value.
int set_acl(int fd, uid_t user) {
  const std::string text = "u::rw-,u:" + std::to_string(user) + ":rw-,g::---,m::rw-,o::---";
  const Acl acl(::acl_from_text(text.c_str()));
  if (!acl || ::acl_set_fd(fd, acl.get()) != 0) return errno;
  return 0;
}

std::uint64_t block_size(const struct stat& status) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto block = static_cast<std::uint64_t>(status.st_blksize);
  // Network file systems name a transfer size here, which need not be a power of two.
  const bool usable = block > page && block <= release_bytes_min && (block & (block - 1)) == 0;
  return usable ? block : page;
}

}  // namespace

std::string file_name(std::string_view vm_name) {
  std::string name(vm_name.substr(0, name_bytes_max));
  const auto harmless = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  std::replace_if(
      name.begin(), name.end(), [&](char c) { return !harmless(c); }, '_');
  if (name.empty() || name.front() == '-') name.insert(0, "vm");
  return name;
}

Result<TraceFile> TraceFile::create(const std::string& directory, std::string_view vm_name) {
  UniqueFd parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent) return system_error(errno, directory + ": cannot open the trace directory");
  for (int attempt = 0; attempt < name_attempts; ++attempt) {
    const std::string digits = random_digits();
    if (digits.empty()) return system_error(errno, "cannot get a random number");
    std::string name = file_name(vm_name) + "-" + digits + ".trace";
    UniqueFd file(::openat(parent.get(), name.c_str(),
                           O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file && errno == EEXIST) continue;
    if (!file) return system_error(errno, directory + ": cannot make a trace file");
    struct stat status {};
    const bool known = ::fstat(file.get(), &status) == 0;
    const int number = errno;
    std::string path = directory + (directory.ends_with('/') ? "" : "/") + name;
    TraceFile made(std::move(parent), std::move(file), std::move(path), std::move(name));
    if (!known) return system_error(number, made.path());
    made.block_ = block_size(status);
    return made;
  }
  return Error{directory + ": cannot make a trace file: every name that was tried exists"};
}

TraceFile::TraceFile(UniqueFd directory, UniqueFd file, std::string path, std::string name)
    : directory_(std::move(directory)),
      file_(std::move(file)),
      path_(std::move(path)),
      name_(std::move(name)) {}

TraceFile& TraceFile::operator=(TraceFile&& other) noexcept {
  if (this == &other) return *this;
  remove();
  directory_ = std::move(other.directory_);
  file_ = std::move(other.file_);
  path_ = std::move(other.path_);
  name_ = std::move(other.name_);
  block_ = other.block_;
  released_ = other.released_;
  holes_supported_ = other.holes_supported_;
  remove_ = other.remove_;
  return *this;
}

TraceFile::~TraceFile() {
  remove();
}

/// Removes the file, unless another one has taken its name.
void TraceFile::remove() noexcept {
  if (!file_ || !remove_) return;
  struct stat ours {};
  struct stat named {};
  if (::fstat(file_.get(), &ours) != 0 ||
      ::fstatat(directory_.get(), name_.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0)
    return;
  if (ours.st_dev == named.st_dev && ours.st_ino == named.st_ino)
    ::unlinkat(directory_.get(), name_.c_str(), 0);
}

Result<void> TraceFile::allow(uid_t user) {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) return system_error(errno, path_);
  if (user == 0 || user == status.st_uid) return {};
  const int number = set_acl(file_.get(), user);
  if (number == 0) return {};
  // We keep our access through the open descriptor.
  if (::fchown(file_.get(), user, static_cast<gid_t>(-1)) == 0) return {};
  Error error = system_error(
      number, path_ + ": cannot let user " + std::to_string(user) + " write to the trace file");
  error.detail +=
      "; use a trace directory on a file system with access control lists, for instance tmpfs";
  return error;
}

Result<std::uint64_t> TraceFile::release_consumed(std::uint64_t offset) {
  if (offset < released_) restart();
  const std::uint64_t blocks = offset / block_;
  const std::uint64_t end = blocks > 0 ? (blocks - 1) * block_ : 0;
  if (!holes_supported_ || end < released_ + release_bytes_min) return std::uint64_t{0};
  int result = 0;
  do {
    result = ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         static_cast<off_t>(released_), static_cast<off_t>(end - released_));
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS)
      return system_error(errno, path_ + ": cannot give space back");
    holes_supported_ = false;
    return std::uint64_t{0};
  }
  return end - std::exchange(released_, end);
}

Result<std::uint64_t> TraceFile::allocated_bytes() const {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) return system_error(errno, path_);
  // Always in units of 512 bytes, whatever st_blksize says.
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

}  // namespace qemon::trace
