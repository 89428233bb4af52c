// TempDir: a directory of a test's own, removed with everything in it when the test is over.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace qemon::test {

class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  /// Short enough that the path of a socket in it fits into a sockaddr_un.
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// The path of `name` in the directory.
  [[nodiscard]] std::string operator/(std::string_view name) const;

 private:
  std::filesystem::path path_;
};

}  // namespace qemon::test
