#include "tests/support/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "base/unique_fd.hpp"

namespace qemon::test {
namespace {

UniqueFd open_file(const std::string& path, int flags) {
  UniqueFd file(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (!file) throw std::system_error(errno, std::generic_category(), "open " + path);
  return file;
}

void write_all(const UniqueFd& file, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0) throw std::system_error(errno, std::generic_category(), "write " + path);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string read_file(const std::string& path) {
  const UniqueFd file = open_file(path, O_RDONLY);
  std::string content;
  std::array<char, 65536> piece{};
  for (;;) {
    const ssize_t count = ::read(file.get(), piece.data(), piece.size());
    if (count < 0) throw std::system_error(errno, std::generic_category(), "read " + path);
    if (count == 0) return content;
    content.append(piece.data(), static_cast<std::size_t>(count));
  }
}

void write_file(const std::string& path, std::string_view content) {
  write_all(open_file(path, O_WRONLY | O_CREAT | O_TRUNC), content, path);
}

void append_file(const std::string& path, std::string_view content) {
  write_all(open_file(path, O_WRONLY | O_CREAT | O_APPEND), content, path);
}

}  // namespace qemon::test
