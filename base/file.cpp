#include "base/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/unique_fd.hpp"

namespace qemon {
namespace {

Error refused(int number) {
  const std::error_code code(number, std::generic_category());
  return Error{code.message(), code};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return refused(errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return refused(errno);
  if (!S_ISREG(status.st_mode)) return Error{"is no regular file"};
  const Error too_large{"is larger than " + std::to_string(bytes_max >> 20U) + " MiB"};
  if (static_cast<std::uint64_t>(status.st_size) > bytes_max) return too_large;
  std::string text(static_cast<std::size_t>(status.st_size) + 1, '\0');
  std::size_t size = 0;
  while (true) {
    const auto got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refused(errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
    if (size > bytes_max) return too_large;
    if (size == text.size()) text.resize(size + std::size_t{64} * 1024);
  }
  text.resize(size);
  return {boost::system::in_place_value, std::move(text)};
}

}  // namespace qemon
