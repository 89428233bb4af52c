#include "daemon/plugin_level.hpp"

#include <string_view>

#include "base/utf8.hpp"
#include "daemon/proc_text.hpp"
#include "daemon/process_info.hpp"

namespace qemon::daemon {

namespace {

/// The values of `key` in "FILE,key=value,...", as QEMU reads it: a comma that is written twice is
/// one of the value's.
std::optional<std::string> option_value(std::string_view text, std::string_view key) {
  std::optional<std::string> value;
  std::string item;
  const auto take_item = [&] {
    if (item.starts_with(key) && item.substr(key.size(), 1) == "=")
      value = item.substr(key.size() + 1);
    item.clear();
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != ',') {
      item += text[at];
    } else if (text.substr(at + 1, 1) == ",") {
      item += text[at++];
    } else {
      take_item();
    }
  }
  take_item();
  return value;
}

}  // namespace

std::optional<std::string> plugin_figures_path(const std::vector<std::string>& arguments) {
  for (std::size_t at = 0; at + 1 < arguments.size(); ++at) {
    if (arguments[at] != "-plugin" && arguments[at] != "--plugin") continue;
    const std::string& options = arguments[at + 1];
    if (options.find("qemon-plugin") == std::string::npos) continue;
    if (auto path = option_value(options, "path")) return path;
  }
  return std::nullopt;
}

Result<plugin::FiguresReader> open_plugin_figures(const std::string& path) {
  if (!path.starts_with('/') || (path + "/").find("/../") != std::string::npos)
    return Error{path + ": is not absolute: give the plugin the path of a file"};
  if (!is_one_line(path))
    return Error{one_line(path) + ": has control characters: give the plugin another path"};
  const auto mounts = read_text("/proc/self/mountinfo").value_or("");
  if (const auto type = remote_type_of(path, mounts); !type.empty())
    return Error{path + ": is on a file system of type " + type +
                 ", whose server may stop answering: let the plugin publish in a local file"};
  return plugin::FiguresReader::open(path);
}

Result<void> switch_plugin_level(const std::string& path, std::uint32_t wanted,
                                 std::optional<BootClock::time_point> until,
                                 std::optional<JournaledPluginLevel>& level,
                                 const std::function<Result<void>()>& write_journal) {
  auto reader = open_plugin_figures(path);
  if (!reader) return reader.error();
  const auto header = reader->read_header();
  if (!header) return header.error();
  const auto before = level;
  const std::uint32_t found = level ? level->found : header->wanted_level;
  level = JournaledPluginLevel{path, found, wanted, until};
  auto written = write_journal();
  if (written) written = reader->want_level(wanted);
  if (!written) {
    level = before;
    (void)write_journal();
    return written;
  }
  if (wanted != found) return {};
  level.reset();
  return write_journal();
}

Result<void> put_plugin_level_back(const JournaledPluginLevel& level) {
  auto reader = open_plugin_figures(level.path);
  if (!reader) {
    // QEMU took it along.
    const auto code = reader.error().code;
    if (code == std::errc::no_such_file_or_directory || code == std::errc::not_a_directory)
      return {};
    return reader.error();
  }
  const auto header = reader->read_header();
  if (!header) return header.error();
  if (header->wanted_level != level.wanted) return {};
  return reader->want_level(level.found);
}

}  // namespace qemon::daemon
