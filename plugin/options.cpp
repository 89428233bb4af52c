#include "plugin/options.hpp"

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace qemon::plugin {

namespace {

constexpr unsigned long long blocks_min = 1024, blocks_max = 1048576;

bool read_level(std::string_view text, std::uint32_t& level) {
  if (text == "count")
    level = level_count;
  else if (text == "memory")
    level = level_memory;
  else if (text == "blocks")
    level = level_blocks;
  else if (text == "all")
    level = level_all;
  else
    return false;
  return true;
}

bool read_blocks(const char* text, std::uint64_t& blocks) {
  if (*text < '0' || *text > '9') return false;
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text, &end, 10);
  blocks = value;
  return *end == '\0' && value >= blocks_min && value <= blocks_max;
}

bool read_option(const char* argument, Options& options) {
  const std::string_view text(argument);
  if (text.starts_with("path=")) {
    options.path = argument + 5;
    if (*options.path == '/') return true;
    std::fprintf(stderr, "qemon-plugin: path '%s' is not absolute: use path=/run/vms/NAME.tcg\n",
                 options.path);
    return false;
  }
  if (text.starts_with("level=")) {
    if (read_level(argument + 6, options.level)) return true;
    std::fprintf(stderr, "qemon-plugin: unknown level '%s': use count, memory, blocks or all\n",
                 argument + 6);
    return false;
  }
  if (text.starts_with("blocks=")) {
    if (read_blocks(argument + 7, options.block_capacity)) return true;
    std::fprintf(stderr, "qemon-plugin: blocks '%s' is not a number from %llu to %llu\n",
                 argument + 7, blocks_min, blocks_max);
    return false;
  }
  std::fprintf(stderr, "qemon-plugin: unknown argument '%s': use path, level or blocks\n",
               argument);
  return false;
}

}  // namespace

bool read_options(int argc, char** argv, Options& options) {
  for (int at = 0; at < argc; ++at) {
    if (!read_option(argv[at], options)) return false;
  }
  if (options.path != nullptr) return true;
  std::fprintf(stderr,
               "qemon-plugin: no path: use -plugin libqemon-plugin.so,path=/run/vms/NAME.tcg\n");
  return false;
}

}  // namespace qemon::plugin
