// Monitor: a small blocking QMP client that shares no code with qemon, for witnesses and for
// changes made by "somebody else".
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "tests/support/wait.hpp"

namespace qemon::test {

/// One connection to a QMP monitor. Whatever goes wrong is thrown as std::runtime_error, which
/// fails the test.
class Monitor {
 public:
  /// Connects to the socket at `path`, retrying until QEMU has made it, and negotiates.
  explicit Monitor(const std::string& path, std::chrono::milliseconds deadline = default_deadline);

  /// The `return` value; an error answer is thrown with QEMU's description.
  nlohmann::json execute(std::string_view command,
                         const nlohmann::json& arguments = nlohmann::json::object());

  /// What a command of the human monitor prints.
  std::string human(std::string_view command_line);

  /// "enabled", "disabled" or "unavailable".
  std::string event_state(std::string_view event);
  bool event_enabled(std::string_view event) { return event_state(event) == "enabled"; }
  void set_event(std::string_view event, bool enabled);

 private:
  std::string read_line();
  std::optional<nlohmann::json> parse_answer(const std::string& line, std::string_view command);

  UniqueFd socket_;
  std::string received_;
  std::chrono::milliseconds deadline_;
};

/// A stream socket connected to the Unix socket at `path`, or none.
UniqueFd connect_unix(const std::string& path);

}  // namespace qemon::test
