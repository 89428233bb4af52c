// Everything that qemon may ever send to a monitor; docs/monitor-commands.md says what for.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "base/result.hpp"

namespace qemon::qmp {

/// QMP commands by name.
[[nodiscard]] std::span<const std::string_view> allowed_commands();

/// A line of the human monitor.
struct AllowedLine {
  std::string_view words;
  bool with_arguments = false;  ///< Whether anything may stand behind the words.
};
[[nodiscard]] std::span<const AllowedLine> allowed_lines();

/// Whether the line is one of them. No control characters: a line end would begin another line.
[[nodiscard]] bool is_allowed_line(std::string_view line);

/// errc::invalid_argument for what is not on the lists, also within human-monitor-command. A
/// monitor is as powerful as its QEMU, so a mistake of ours, or a client's text that got too far,
/// ends here.
[[nodiscard]] Result<void> check_allowed(std::string_view command, const nlohmann::json& arguments);

}  // namespace qemon::qmp
