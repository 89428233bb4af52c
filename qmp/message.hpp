// What a QMP server sends, parsed: greeting, return, error, event. Includes the whole of
// nlohmann/json: for .cpp files.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.hpp"
#include "qmp/types.hpp"

namespace qemon::qmp {

struct ReturnMessage {
  std::optional<std::string> id;  ///< Any other JSON value than a string becomes its JSON text.
  nlohmann::json value;
};

struct ErrorMessage {
  std::optional<std::string> id;
  std::string error_class;
  std::string desc;
};

struct EventMessage {
  std::string name;
  nlohmann::json data = nlohmann::json::object();
  std::chrono::system_clock::time_point time;
};

using Message = std::variant<Greeting, ReturnMessage, ErrorMessage, EventMessage>;

/// Parses one message as cut by Framer, which has checked its nesting. Errors have the code
/// errc::protocol.
Result<Message> parse_message(std::string_view text);

}  // namespace qemon::qmp
