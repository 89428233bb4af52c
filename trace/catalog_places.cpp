#include "trace/catalog_places.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>

namespace qemon::trace {

std::vector<std::string> catalog_places(const std::string& program) {
  namespace fs = std::filesystem;
  constexpr std::string_view file_name = "trace-events-all";
  std::vector<std::string> paths;
  const auto add = [&](const fs::path& path) {
    auto text = path.lexically_normal().string();
    if (std::find(paths.begin(), paths.end(), text) == paths.end())
      paths.push_back(std::move(text));
  };
  if (!program.empty()) {
    const auto folder = fs::path(program).parent_path();
    add(folder / "trace" / file_name);                      // A build tree.
    add(folder / ".." / "share" / "qemu" / file_name);      // PREFIX/bin.
    add(folder / ".." / "share" / "qemu-kvm" / file_name);  // RHEL: /usr/libexec/qemu-kvm.
  }
  add(fs::path("/usr/share/qemu") / file_name);      // Debian, Ubuntu, Arch, openSUSE, Azure Linux.
  add(fs::path("/usr/share/qemu-kvm") / file_name);  // RHEL and CentOS Stream.
  add(fs::path("/usr/local/share/qemu") / file_name);  // QEMU's own default.
  return paths;
}

}  // namespace qemon::trace
