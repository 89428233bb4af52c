// What promtool, Prometheus' own checker, says of a page of metrics.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::test {

struct Checked {
  int status = 0;
  std::string said;
};

/// Nothing where promtool is not installed. QEMON_PROMTOOL in the environment names another one.
inline std::optional<Checked> check_by_promtool(const std::string& page) {
  const char* const given = std::getenv("QEMON_PROMTOOL");
  const std::string promtool = given != nullptr ? given : "/usr/bin/promtool";
  if (!std::filesystem::exists(promtool)) return std::nullopt;
  const TempDir dir;
  write_file(dir / "metrics", page);
  const std::string command =
      promtool + " check metrics < " + (dir / "metrics") + " > " + (dir / "out") + " 2>&1";
  const int status = std::system(command.c_str());
  return Checked{status, read_file(dir / "out")};
}

}  // namespace qemon::test
